# The layers of core/: folder X becomes the static library sw_X. A layer may include its own headers and those of the
# layers before it in SW_LAYERS, as "folder/header.h", and no others: each folder has an include root of its own
# (include/X holds nothing but a link X to core/X) and a layer is given only the roots it may use. A folder without
# sources makes no library.
#
# Sets for each layer X: SW_OBJECTS_X and SW_INCLUDES_X, the objects and the include folders of X and of those before.

set(SW_LAYERS base state run io serve script cli)

set(objects "")
set(includes "")
foreach(layer IN LISTS SW_LAYERS)
  set(folder ${CMAKE_SOURCE_DIR}/core/${layer})
  set(root ${CMAKE_BINARY_DIR}/include/${layer})
  file(MAKE_DIRECTORY ${root})
  file(CREATE_LINK ${folder} ${root}/${layer} SYMBOLIC)
  list(APPEND includes ${root})
  if(layer STREQUAL "script") # Lua's headers are for the layers that speak Lua.
    list(APPEND includes ${LUAJIT_INCLUDE_DIRS})
  endif()

  file(GLOB sources CONFIGURE_DEPENDS ${folder}/*.c ${folder}/*.cpp)
  list(REMOVE_ITEM sources ${CMAKE_SOURCE_DIR}/core/cli/main.c)
  if(sources)
    add_library(sw_${layer} STATIC ${sources})
    target_include_directories(sw_${layer} PRIVATE ${includes})
    list(APPEND objects $<TARGET_OBJECTS:sw_${layer}>)
  endif()
  set(SW_OBJECTS_${layer} ${objects})
  set(SW_INCLUDES_${layer} ${includes})
endforeach()

# The Lua half of swlua, as bytecode, and the text for ffi.cdef.
if(TARGET sw_script)
  file(GLOB_RECURSE lua_modules CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/lua/swlua/*.lua)
  set(embedded ${CMAKE_BINARY_DIR}/embedded.c)
  set(embed ${CMAKE_SOURCE_DIR}/core/script/embed.lua)
  set(cdef ${CMAKE_SOURCE_DIR}/core/script/ffi.h)
  add_custom_command(
    OUTPUT ${embedded}
    COMMAND ${SW_LUAJIT_PROGRAM} ${embed} ${embedded} ${cdef} ${CMAKE_SOURCE_DIR}/lua ${lua_modules}
    DEPENDS ${embed} ${cdef} ${lua_modules}
    COMMENT "Embedding lua/swlua" VERBATIM)
  target_sources(sw_script PRIVATE ${embedded})
endif()
