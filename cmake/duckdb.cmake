# DuckDB: the official shared library with its C++ API, and the headers that match it (tools/install.sh fetches both).
# A DuckDB elsewhere: -DDUCKDB_DIR=<folder with include/ and libduckdb.so>, same version.
if(CMAKE_SYSTEM_PROCESSOR STREQUAL "aarch64")
  set(duckdb_arch arm64)
else()
  set(duckdb_arch x64)
endif()
set(millrace_cache "$ENV{MILLRACE_CACHE}")
if(NOT millrace_cache)
  set(millrace_cache "$ENV{HOME}/.cache/millrace")
endif()
set(DUCKDB_DIR "${millrace_cache}/duckdb-1.5.6-${duckdb_arch}" CACHE PATH "DuckDB 1.5.6: include/ and libduckdb.so")
if(NOT EXISTS ${DUCKDB_DIR}/libduckdb.so)
  message(FATAL_ERROR "DuckDB is not at ${DUCKDB_DIR}: run tools/install.sh, or set DUCKDB_DIR")
endif()

# The library lies beside the program, which finds it by $ORIGIN: the build folder can be moved.
configure_file(${DUCKDB_DIR}/libduckdb.so ${CMAKE_BINARY_DIR}/libduckdb.so COPYONLY)
set(CMAKE_BUILD_RPATH "$ORIGIN" "$ORIGIN/..")
set(CMAKE_RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/bin)

add_library(duckdb SHARED IMPORTED)
set_target_properties(duckdb PROPERTIES IMPORTED_LOCATION ${CMAKE_BINARY_DIR}/libduckdb.so IMPORTED_NO_SONAME ON)
target_include_directories(duckdb SYSTEM INTERFACE ${DUCKDB_DIR}/include)

# Parquet's own headers, for the few files of format/ that need them.
add_library(duckdb_parquet INTERFACE)
set(third_party ${DUCKDB_DIR}/include/third_party)
target_include_directories(duckdb_parquet SYSTEM INTERFACE ${DUCKDB_DIR}/include/parquet_extension
  ${third_party}/parquet ${third_party}/thrift ${third_party}/fsst ${third_party}/fastpforlib ${third_party}/re2
  ${third_party}/utf8proc/include ${third_party}/mbedtls/include ${third_party}/zstd/include ${third_party}/concurrentqueue)
