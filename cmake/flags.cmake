# Compiler flags of every target.

# The promise of the arithmetic (docs/architecture.md, "One arithmetic"): no contraction. The other two flags change no value; they
# let loops with square roots and selections vectorise.
set(HB_FLAGS -ffp-contract=off -fno-math-errno -fno-trapping-math -Wall -Wextra -Wmissing-prototypes -Wshadow -Wvla)
if(CMAKE_C_COMPILER_ID STREQUAL "GNU")
  list(APPEND HB_FLAGS -Wno-format-truncation) # snprintf into fixed buffers cuts long names on purpose
endif()
if(HB_WERROR)
  list(APPEND HB_FLAGS -Werror)
endif()
if(HB_SANITIZE)
  list(APPEND HB_FLAGS -fsanitize=${HB_SANITIZE} -fno-sanitize-recover=all -fno-omit-frame-pointer)
  add_link_options(-fsanitize=${HB_SANITIZE})
endif()
add_compile_options("$<$<COMPILE_LANGUAGE:C>:${HB_FLAGS}>")

# C++ only for Box2D: the same arithmetic, no exceptions.
set(HB_CXX_FLAGS ${HB_FLAGS} -fno-exceptions -fno-rtti)
list(REMOVE_ITEM HB_CXX_FLAGS -Wmissing-prototypes)
add_compile_options("$<$<COMPILE_LANGUAGE:CXX>:${HB_CXX_FLAGS}>")
