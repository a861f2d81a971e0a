# The Python package in build/python: its files, and the declarations that python/declare.py writes from the public header.
find_program(HB_BUILD_PYTHON python3) # any; the tests have one of their own
if(HB_BUILD_PYTHON)
  set(package "${CMAKE_BINARY_DIR}/python/hebbes")
  set(made "")
  foreach(file __init__ __main__ _library _program evolution functions gym pages runs vector)
    add_custom_command(OUTPUT "${package}/${file}.py" DEPENDS "${CMAKE_SOURCE_DIR}/python/hebbes/${file}.py"
                       COMMAND "${CMAKE_COMMAND}" -E copy "${CMAKE_SOURCE_DIR}/python/hebbes/${file}.py" "${package}/${file}.py")
    list(APPEND made "${package}/${file}.py")
  endforeach()
  set(headers "${CMAKE_SOURCE_DIR}/kernels/status.h" "${CMAKE_SOURCE_DIR}/host/hebbes.h")
  add_custom_command(OUTPUT "${package}/_abi.py" DEPENDS ${headers} "${CMAKE_SOURCE_DIR}/python/declare.py"
                     COMMAND "${CMAKE_COMMAND}" -E make_directory "${package}"
                     COMMAND "${HB_BUILD_PYTHON}" "${CMAKE_SOURCE_DIR}/python/declare.py" "${package}/_abi.py" ${headers})
  add_custom_target(python ALL DEPENDS ${made} "${package}/_abi.py")
endif()
