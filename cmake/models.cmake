# The models of envs/mjcf/models as C texts, hb_mjcf_NAME, in one file of the build; its path is HB_MODELS.
set(HB_MODELS "${CMAKE_BINARY_DIR}/mjcf_models.c")
file(GLOB models CONFIGURE_DEPENDS "${CMAKE_SOURCE_DIR}/envs/mjcf/models/*.xml")
set(text "#include \"envs/mjcf/presets.h\"\n")
foreach(model IN LISTS models)
  set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS "${model}")
  get_filename_component(name "${model}" NAME_WE)
  file(READ "${model}" xml)
  string(REPLACE "\"" "'" xml "${xml}") # XML has both
  string(REPLACE "\n" "\"\n    \"" xml "${xml}")
  string(APPEND text "\nconst char hb_mjcf_${name}[] =\n    \"${xml}\";\n")
endforeach()
file(CONFIGURE OUTPUT "${HB_MODELS}" CONTENT "${text}" @ONLY)
