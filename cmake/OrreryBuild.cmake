# Compiler settings and the two helpers every folder uses: orrery_module and orrery_test.

set(CMAKE_CXX_STANDARD 20)
set(CMAKE_CXX_STANDARD_REQUIRED ON)
set(CMAKE_CXX_EXTENSIONS OFF)
set(CMAKE_EXPORT_COMPILE_COMMANDS ON)

# Results must be the same on every machine: no value-changing floating point options.
add_compile_options("$<$<COMPILE_LANGUAGE:CXX>:-Wall;-Wextra;-Wpedantic;-Wshadow;-ffp-contract=off>")

find_program(CCACHE_PROGRAM ccache)
if(CCACHE_PROGRAM)
    # The two liberties that ccache needs to cache files with a precompiled header.
    set(CMAKE_CXX_COMPILER_LAUNCHER ${CMAKE_COMMAND} -E env
        CCACHE_SLOPPINESS=pch_defines,time_macros ${CCACHE_PROGRAM})
    set(CMAKE_CUDA_COMPILER_LAUNCHER ${CCACHE_PROGRAM})
endif()
find_program(MOLD_PROGRAM mold)
if(MOLD_PROGRAM)
    add_link_options(-fuse-ld=mold)
endif()
if(ORRERY_SANITIZE)
    add_compile_options("$<$<COMPILE_LANGUAGE:CXX>:-fsanitize=address,undefined;-fno-sanitize-recover=all;-fno-omit-frame-pointer>")
    add_link_options(-fsanitize=address,undefined)
endif()

# orrery_precompile(TARGET): the headers most files include, parsed once. The sanitizer build does
# without, so that every file is compiled on its own includes somewhere.
function(orrery_precompile target)
    if(NOT ORRERY_PCH)
        return()
    endif()
    target_compile_options(${target} PRIVATE $<$<COMPILE_LANGUAGE:CXX>:-fpch-preprocess>)
    if(target STREQUAL orrery_core)
        target_precompile_headers(${target} PRIVATE <algorithm> <array> <cmath> <filesystem>
            <functional> <map> <memory> <optional> <string> <vector> <fmt/format.h>)
    else()
        target_precompile_headers(${target} REUSE_FROM orrery_core)
    endif()
endfunction()

# orrery_module(NAME [DEPS module...] [LIBS library...]): library orrery_NAME from every .cpp of the
# folder. A folder without .cpp files becomes a header-only target.
function(orrery_module name)
    cmake_parse_arguments(ARG "" "" "DEPS;LIBS" ${ARGN})
    file(GLOB sources CONFIGURE_DEPENDS ${CMAKE_CURRENT_SOURCE_DIR}/*.cpp)
    set(links ${ARG_LIBS})
    foreach(dep ${ARG_DEPS})
        list(APPEND links orrery_${dep})
    endforeach()
    if(sources)
        add_library(orrery_${name} STATIC ${sources})
        target_include_directories(orrery_${name} PUBLIC ${CMAKE_SOURCE_DIR}/sim)
        target_link_libraries(orrery_${name} PUBLIC ${links})
        orrery_precompile(orrery_${name})
    else()
        add_library(orrery_${name} INTERFACE)
        target_include_directories(orrery_${name} INTERFACE ${CMAKE_SOURCE_DIR}/sim)
        target_link_libraries(orrery_${name} INTERFACE ${links})
    endif()
endfunction()

# The precompiled header that all tests share.
function(orrery_test_headers)
    if(TARGET orrery_test_headers)
        return()
    endif()
    set(source ${CMAKE_BINARY_DIR}/generated/test_headers.cpp)
    file(CONFIGURE OUTPUT ${source} CONTENT "// Carries the precompiled header.\n")
    add_library(orrery_test_headers OBJECT ${source})
    target_link_libraries(orrery_test_headers PRIVATE orrery_core GTest::gmock GTest::gtest)
    target_compile_options(orrery_test_headers PRIVATE -fpch-preprocess)
    target_compile_definitions(orrery_test_headers PRIVATE ORRERY_SOURCE_DIR="${CMAKE_SOURCE_DIR}")
    target_precompile_headers(orrery_test_headers PRIVATE <gtest/gtest.h> <string> <vector>)
endfunction()

# orrery_test(NAME DEPS module... [LABEL label]): one gtest program from every .cpp of the folder,
# each gtest case a ctest. Tests run in the source directory so that they find scenarios and data.
function(orrery_test name)
    cmake_parse_arguments(ARG "" "LABEL" "DEPS;LIBS" ${ARGN})
    file(GLOB sources CONFIGURE_DEPENDS ${CMAKE_CURRENT_SOURCE_DIR}/*.cpp)
    if(NOT sources)
        return()
    endif()
    set(links ${ARG_LIBS})
    foreach(dep ${ARG_DEPS})
        list(APPEND links orrery_${dep})
    endforeach()
    set(target test_${name})
    add_executable(${target} ${sources})
    orrery_test_headers()
    target_link_libraries(${target} PRIVATE ${links} GTest::gmock GTest::gtest GTest::gtest_main)
    target_precompile_headers(${target} REUSE_FROM orrery_test_headers)
    target_compile_options(${target} PRIVATE -fpch-preprocess)
    target_compile_definitions(${target} PRIVATE ORRERY_SOURCE_DIR="${CMAKE_SOURCE_DIR}")
    include(GoogleTest)
    set(properties TIMEOUT 300)
    if(ARG_LABEL)
        list(APPEND properties LABELS ${ARG_LABEL})
    endif()
    gtest_discover_tests(${target} TEST_PREFIX "${name}." WORKING_DIRECTORY ${CMAKE_SOURCE_DIR}
                         NO_PRETTY_VALUES PROPERTIES ${properties} DISCOVERY_TIMEOUT 60)
endfunction()
