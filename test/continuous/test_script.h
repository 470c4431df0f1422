// test_script.h - the parts of DuckDB's .test files (sqllogictest) that matter here: statements and
// queries in order, loops unrolled.
#pragma once

#include <string>
#include <vector>

namespace millrace {

struct TestRecord {
  enum class Kind { kStatement, kQuery };
  Kind kind = Kind::kStatement;
  bool may_fail = false;
  bool repeats = false;    // A further round of a loop.
  std::string connection;  // Empty: the file's own.
  int line = 0;
  std::string sql;
};

struct TestScript {
  std::vector<TestRecord> records;
  std::vector<std::string> requires_;  // Extensions and the like.
};

/// Reads a file; what follows something that it does not know is left out.
TestScript ReadTestScript(const std::string& path);

}  // namespace millrace
