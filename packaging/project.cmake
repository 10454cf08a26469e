# SPDX-License-Identifier: MIT
# Read by cpack before it begins.
# Each package has a summary of its own; the project's would come before it.
set(CPACK_PACKAGE_DESCRIPTION_SUMMARY "")
