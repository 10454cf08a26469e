# SPDX-License-Identifier: MIT
# What Debian's policy asks of a package's files beyond what cmake --install puts in place: run by cpack
# between installing and packing.
find_program(GZIP gzip REQUIRED)

function(compress file)
    execute_process(COMMAND "${GZIP}" -9nf "${file}" COMMAND_ERROR_IS_FATAL ANY)
endfunction()

# Files that name the prefix of the build.
foreach(file lib/systemd/system/msgd.service lib*/pkgconfig/msgd.pc lib/*/pkgconfig/msgd.pc)
    file(GLOB found "${CPACK_TEMPORARY_INSTALL_DIRECTORY}/*/usr/${file}")
    foreach(path IN LISTS found)
        file(READ "${path}" text)
        string(REPLACE "${CPACK_MSGD_BUILD_PREFIX}" "/usr" text "${text}")
        file(WRITE "${path}" "${text}")
    endforeach()
endforeach()

# The licence as a paragraph of the machine-readable format: a space before each line, a dot in an empty one.
file(READ "${CPACK_RESOURCE_FILE_LICENSE}" license)
string(REGEX REPLACE "\n+$" "" license "${license}")
string(REGEX MATCH "Copyright \\(c\\) ([^\n]*)" unused "${license}")
set(holders "${CMAKE_MATCH_1}")
string(REGEX REPLACE "^.*Copyright \\(c\\) [^\n]*\n+" "" license "${license}")
string(REPLACE "\n\n" "\n.\n" license "${license}")
string(REPLACE "\n" "\n " license "${license}")

set(version "${CPACK_PACKAGE_VERSION}-${CPACK_DEBIAN_PACKAGE_RELEASE}")
string(TIMESTAMP now "%a, %d %b %Y %H:%M:%S +0000" UTC) # SOURCE_DATE_EPOCH where that is set

foreach(package IN LISTS CPACK_COMPONENTS_ALL)
    set(root "${CPACK_TEMPORARY_INSTALL_DIRECTORY}/${package}")
    set(docs "${root}/usr/share/doc/${package}")
    file(GLOB pages "${root}/usr/share/man/man*/*.[0-9]")
    foreach(page IN LISTS pages)
        compress("${page}")
    endforeach()
    file(REMOVE "${docs}/LICENSE") # it is in the file copyright
    if(EXISTS "${docs}/CHANGELOG.md")
        file(RENAME "${docs}/CHANGELOG.md" "${docs}/changelog")
        compress("${docs}/changelog")
    endif()
    file(WRITE "${docs}/copyright"
        "Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/\n"
        "Upstream-Name: msgd\n\nFiles: *\nCopyright: ${holders}\nLicense: MIT\n\nLicense: MIT\n ${license}\n")
    file(WRITE "${docs}/changelog.Debian"
        "msgd (${version}) unstable; urgency=medium\n\n  * What is new is in /usr/share/doc/msgd/changelog.gz.\n\n"
        " -- ${CPACK_PACKAGE_CONTACT}  ${now}\n")
    compress("${docs}/changelog.Debian")
endforeach()
