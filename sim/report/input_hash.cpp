#include "report/input_hash.hpp"

#include <algorithm>
#include <cstdint>
#include <fstream>
#include <iterator>

#include <fmt/format.h>

#include "core/error.hpp"

namespace orrery {
namespace {

namespace fs = std::filesystem;

constexpr std::uint64_t kOffset = 14695981039346656037ULL;
constexpr std::uint64_t kPrime = 1099511628211ULL;

void add(std::uint64_t& hash, const std::string& bytes) {
    for (const char c : bytes) hash = (hash ^ static_cast<unsigned char>(c)) * kPrime;
}

void add_file(std::uint64_t& hash, const fs::path& file) {
    std::ifstream in(file, std::ios::binary);
    if (!in) {
        throw InputError(fmt::format("{}: cannot be opened for reading", file.string()));
    }
    add(hash, std::string(std::istreambuf_iterator<char>(in), {}));
}

}  // namespace

std::string input_hash(const fs::path& path) {
    std::uint64_t hash = kOffset;
    std::vector<fs::path> files;
    if (fs::is_directory(path)) {
        for (const auto& entry : fs::recursive_directory_iterator(path)) {
            if (entry.path().extension() == ".json") files.push_back(entry.path());
        }
        std::sort(files.begin(), files.end());
        for (const fs::path& file : files) {
            add(hash, file.lexically_relative(path).generic_string());
            add_file(hash, file);
        }
    } else {
        add_file(hash, path);
    }
    return fmt::format("{:016x}", hash);
}

void hash_inputs(RunResult& result) {
    for (InputFile& input : result.inputs) input.hash = input_hash(input.path);
}

}  // namespace orrery
