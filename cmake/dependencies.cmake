# Packages. README.md says what each is for; ./dev installs them on Debian.

find_package(PkgConfig REQUIRED)
find_package(Threads REQUIRED)
pkg_check_modules(YAML REQUIRED IMPORTED_TARGET yaml-0.1)
pkg_check_modules(XXHASH REQUIRED IMPORTED_TARGET libxxhash)
pkg_check_modules(HDF5 REQUIRED IMPORTED_TARGET hdf5)
pkg_check_modules(LAPACK REQUIRED IMPORTED_TARGET lapack)
pkg_check_modules(PNG REQUIRED IMPORTED_TARGET libpng)
find_package(box2d 2.4.1 EXACT REQUIRED)
find_package(MPI COMPONENTS C) # optional: training by several processes
if(HB_TESTS)
  pkg_check_modules(CMOCKA REQUIRED IMPORTED_TARGET cmocka)
endif()

if(NOT EXISTS "${HB_MUJOCO_DIR}/libmujoco.so.${HB_MUJOCO_VERSION}")
  message(FATAL_ERROR "MuJoCo ${HB_MUJOCO_VERSION} is not in ${HB_MUJOCO_DIR}; ./dev build fetches it")
endif()
add_library(mujoco SHARED IMPORTED)
set_target_properties(mujoco PROPERTIES IMPORTED_LOCATION "${HB_MUJOCO_DIR}/libmujoco.so.${HB_MUJOCO_VERSION}")
target_include_directories(mujoco SYSTEM INTERFACE "${HB_MUJOCO_DIR}/include")
