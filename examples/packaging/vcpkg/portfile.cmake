# An overlay port for a checkout: vcpkg install sessrec --overlay-ports=examples/packaging/vcpkg
set(checkout "${CMAKE_CURRENT_LIST_DIR}/../../..")
file(INSTALL "${checkout}/sessrec.h" DESTINATION "${CURRENT_PACKAGES_DIR}/include")
file(INSTALL "${checkout}/LICENSE" DESTINATION "${CURRENT_PACKAGES_DIR}/share/${PORT}" RENAME copyright)
set(VCPKG_POLICY_EMPTY_INCLUDE_FOLDER disabled)
