# SPDX-License-Identifier: MIT
# Read by cpack before it begins.
if(NOT CPACK_PACKAGING_INSTALL_PREFIX STREQUAL "/usr")
    message(FATAL_ERROR "A package's prefix is /usr, that of this build is ${CPACK_PACKAGING_INSTALL_PREFIX}: "
                        "cmake --preset release && cmake --build --preset release --target package")
endif()
# Each package has a summary of its own; the project's would come before it.
set(CPACK_PACKAGE_DESCRIPTION_SUMMARY "")
