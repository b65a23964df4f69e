# Writes program_stamp.cpp with the commit and whether tracked files differ from it; touches the file
# only when its text changes.
set(commit "unknown")
set(dirty false)
find_program(GIT git)
if(GIT AND EXISTS ${SOURCE_DIR}/.git)
    execute_process(COMMAND ${GIT} rev-parse --short=12 HEAD WORKING_DIRECTORY ${SOURCE_DIR}
                    OUTPUT_VARIABLE head OUTPUT_STRIP_TRAILING_WHITESPACE ERROR_QUIET
                    RESULT_VARIABLE failed)
    if(NOT failed)
        set(commit ${head})
        execute_process(COMMAND ${GIT} status --porcelain --untracked-files=no
                        WORKING_DIRECTORY ${SOURCE_DIR} OUTPUT_VARIABLE changed ERROR_QUIET)
        if(changed)
            set(dirty true)
        endif()
    endif()
endif()
file(CONFIGURE OUTPUT ${OUTPUT} @ONLY CONTENT [=[
#include "app/program_stamp.hpp"

namespace orrery {

ProgramStamp program_stamp() { return {"@VERSION@", "@commit@", @dirty@}; }

}  // namespace orrery
]=])
