# cmake --install: the library, the programs, the public headers, and what finds them (pkg-config, find_package). MuJoCo's library,
# which no package manager has, is installed beside ours.

set(HB_PRIVATE_LIBRARIES "${CMAKE_INSTALL_LIBDIR}/hebbes")
set_target_properties(hebbes PROPERTIES INSTALL_RPATH "$ORIGIN/hebbes")
# RPATH, not RUNPATH: it holds for libraries of libraries, too, which is what a folder with all of them needs (./dev bundle).
target_link_options(hebbes PRIVATE "LINKER:--disable-new-dtags")
target_link_options(hebbes_cli PRIVATE "LINKER:--disable-new-dtags")
target_link_options(hebbes_bench PRIVATE "LINKER:--disable-new-dtags")
set_target_properties(hebbes_cli hebbes_bench PROPERTIES
                      INSTALL_RPATH "$ORIGIN/../${CMAKE_INSTALL_LIBDIR};$ORIGIN/../${HB_PRIVATE_LIBRARIES}")

install(TARGETS hebbes EXPORT hebbes LIBRARY DESTINATION "${CMAKE_INSTALL_LIBDIR}")
install(TARGETS hebbes_cli hebbes_bench RUNTIME DESTINATION "${CMAKE_INSTALL_BINDIR}")
if(TARGET hebbes_mpi)
  install(TARGETS hebbes_mpi LIBRARY DESTINATION "${HB_PRIVATE_LIBRARIES}")
endif()
install(FILES host/ranks/mpi.c host/ranks/link.h DESTINATION "${CMAKE_INSTALL_DATADIR}/hebbes/host/ranks") # for the site's MPI
install(FILES "${HB_MUJOCO_DIR}/libmujoco.so.${HB_MUJOCO_VERSION}" DESTINATION "${HB_PRIVATE_LIBRARIES}")
install(DIRECTORY configs DESTINATION "${CMAKE_INSTALL_DATADIR}/hebbes")

# <hebbes/hebbes.h>, which includes <hebbes/status.h>, and <hebbes/env.h> for environments outside of this repository.
file(READ host/hebbes.h header)
string(REPLACE "\"kernels/status.h\"" "<hebbes/status.h>" header "${header}")
file(CONFIGURE OUTPUT "${CMAKE_BINARY_DIR}/installed/hebbes.h" CONTENT "${header}" @ONLY)
set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS host/hebbes.h)
install(FILES "${CMAKE_BINARY_DIR}/installed/hebbes.h" kernels/status.h envs/env.h
        DESTINATION "${CMAKE_INSTALL_INCLUDEDIR}/hebbes")

configure_file(cmake/hebbes.pc.in hebbes.pc @ONLY)
install(FILES "${CMAKE_BINARY_DIR}/hebbes.pc" DESTINATION "${CMAKE_INSTALL_LIBDIR}/pkgconfig")

include(CMakePackageConfigHelpers)
write_basic_package_version_file(hebbes-config-version.cmake COMPATIBILITY SameMinorVersion)
install(EXPORT hebbes NAMESPACE hebbes:: FILE hebbes-config.cmake DESTINATION "${CMAKE_INSTALL_LIBDIR}/cmake/hebbes")
install(FILES "${CMAKE_BINARY_DIR}/hebbes-config-version.cmake"
        DESTINATION "${CMAKE_INSTALL_LIBDIR}/cmake/hebbes")
