# Third-party libraries. The program takes the static ones where they exist: each shared one costs it start-up time.
# swlua.so takes the shared ones: Debian's archives are not position independent enough for it.

find_package(PkgConfig REQUIRED)
find_package(Threads REQUIRED)
pkg_check_modules(LUAJIT REQUIRED luajit)

set(SW_THIRD_PARTY "")
set(SW_THIRD_PARTY_SHARED "")
foreach(name event_extra event_pthreads event_core msgpackc lmdb z simdjson)
  find_library(SW_SHARED_${name} NAMES lib${name}.so REQUIRED)
  find_library(SW_STATIC_${name} NAMES lib${name}.a lib${name}.so REQUIRED)
  list(APPEND SW_THIRD_PARTY ${SW_STATIC_${name}})
  list(APPEND SW_THIRD_PARTY_SHARED ${SW_SHARED_${name}})
endforeach()
list(APPEND SW_THIRD_PARTY Threads::Threads m ${CMAKE_DL_LIBS})
list(APPEND SW_THIRD_PARTY_SHARED Threads::Threads m ${CMAKE_DL_LIBS})

find_library(SW_LUAJIT NAMES libluajit-5.1.a luajit-5.1 REQUIRED)
find_program(SW_LUAJIT_PROGRAM luajit REQUIRED)
