# SPDX-License-Identifier: MIT
# One INTERFACE target carries the compiler's flags; every target of msgd links it.

# A newer compiler has new warnings: they are errors where the tree is known to be free of them.
set(MSGD_KNOWN_COMPILER OFF)
if((CMAKE_C_COMPILER_ID STREQUAL "GNU" AND CMAKE_C_COMPILER_VERSION MATCHES "^12\\.") OR
   (CMAKE_C_COMPILER_ID STREQUAL "Clang" AND CMAKE_C_COMPILER_VERSION MATCHES "^14\\."))
    set(MSGD_KNOWN_COMPILER ON)
endif()
option(MSGD_WERROR "Treat warnings as errors" ${MSGD_KNOWN_COMPILER})
set(MSGD_SANITIZE "" CACHE STRING "Sanitizers, as -fsanitize= takes them: address,undefined or thread")
# A list of sanitizers has commas, which generator expressions do not take.
string(REPLACE "," "_" MSGD_SANITIZED "${MSGD_SANITIZE}")
option(MSGD_COVERAGE "Instrument for gcov" OFF)
# Tests kill the daemon at named places; what gets installed has none.
option(MSGD_CRASH_POINTS "Let MSGD_CRASH in the environment kill the daemon" OFF)
option(MSGD_FUZZ "Build the fuzz targets with libFuzzer (clang)" OFF)

# MSGD_IS_QUICK of a target: the code of unit tests, half of what there is to compile, is not optimised.
add_library(msgd_flags INTERFACE)
target_include_directories(msgd_flags INTERFACE "${PROJECT_SOURCE_DIR}")
target_compile_features(msgd_flags INTERFACE c_std_11)
target_compile_definitions(msgd_flags INTERFACE _GNU_SOURCE MSGD_VERSION="${PROJECT_VERSION}"
    $<$<BOOL:${MSGD_CRASH_POINTS}>:MSGD_CRASH_POINTS>)
target_compile_options(msgd_flags INTERFACE
    -std=gnu11 -Wall -Wextra -Wshadow -Wpointer-arith -Wcast-qual -Wstrict-prototypes
    -Wmissing-prototypes -Wundef -Wvla -Wformat=2 -fno-common -fstack-protector-strong
    $<$<BOOL:${MSGD_WERROR}>:-Werror>
    $<$<AND:$<NOT:$<BOOL:${MSGD_SANITIZED}>>,$<CONFIG:Release,RelWithDebInfo>,$<NOT:$<BOOL:$<TARGET_PROPERTY:MSGD_IS_QUICK>>>>:-U_FORTIFY_SOURCE;-D_FORTIFY_SOURCE=2>
    $<$<BOOL:${MSGD_SANITIZED}>:-fsanitize=${MSGD_SANITIZE} -fno-omit-frame-pointer -fno-sanitize-recover=undefined>
    $<$<BOOL:${MSGD_FUZZ}>:-fsanitize=fuzzer-no-link>
    $<$<BOOL:${MSGD_COVERAGE}>:--coverage>)
# Asked here: a list of sanitizers has a comma, which a generator expression would take for its own.
if(MSGD_SANITIZE STREQUAL "thread" AND CMAKE_C_COMPILER_ID STREQUAL "GNU")
    # ThreadSanitizer sees one process; our fences order memory that two share.
    target_compile_options(msgd_flags INTERFACE -Wno-tsan)
endif()
target_link_options(msgd_flags INTERFACE
    -Wl,-z,relro,-z,now
    $<$<BOOL:${MSGD_SANITIZED}>:-fsanitize=${MSGD_SANITIZE}>
    $<$<BOOL:${MSGD_COVERAGE}>:--coverage>)

# Product code takes stricter conversions than the tests, whose framework's macros do not.
add_library(msgd_product_flags INTERFACE)
target_link_libraries(msgd_product_flags INTERFACE msgd_flags)
target_compile_options(msgd_product_flags INTERFACE -Wconversion -Wno-sign-conversion)
