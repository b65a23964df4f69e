#pragma once
// Errors a user can mend. The command line prints what() as one line and exits with code 2.

#include <stdexcept>
#include <string>

namespace orrery {

// Bad input: names the file (or command-line option), the JSON path, the offending value and the
// rule: `scenarios/a.json: plan.micro_batch_size = 0: must be >= 1`. Always one line: control
// characters in names and values (a newline in a key) are shown as '?'.
class InputError : public std::runtime_error {
  public:
    explicit InputError(const std::string& line);
    InputError(const std::string& file, const std::string& key, const std::string& value,
               const std::string& rule);
};

// One value that is wrong whatever stands beside it: an unknown key or name, a wrong type or unit,
// out of range. Other bad input is values that do not go together, which a comparison may meet.
class MalformedError : public InputError {
  public:
    using InputError::InputError;
};

// The simulation cannot go on: a deadlock (naming rank, stream and what it waits for), time out of
// range, a missing operator time.
class SimulationError : public std::runtime_error {
  public:
    using std::runtime_error::runtime_error;
};

}  // namespace orrery
