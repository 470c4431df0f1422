// slt_file.h - the records of one .slt file (README.md tells the form).
#pragma once

#include <map>
#include <string>
#include <vector>

namespace millrace {

enum class RecordKind {
  kStatementOk,
  kStatementError,
  kStatementCount,
  kStatementShows,
  kQuery,
  kStream,
  kFeed,
  kChanges,
  kSameAsBatch,
  kSettle,
  kWait,
  kCheckpoint,
  kCrash,
  kRestart,
  kFile,
  kDamage,
  kRemember,
  kUntouched,
  kPrinted,
  kFails,
  kRoundTrip,
};

enum class RowOrder { kAsIs, kRowSort, kValueSort };

/// A directive and its lines.
struct Record {
  RecordKind kind = RecordKind::kStatementOk;
  std::string file;
  int line = 0;          // Of the directive, from 1.
  std::string argument;  // Regex, count, name of a stream or table, label of a query.
  std::string types;     // kQuery: one letter a column; R compares to 1e-9.
  RowOrder order = RowOrder::kAsIs;
  std::string sql;
  std::vector<std::string> rows;  // After "----", or the rows of a feed.
  bool has_rows = false;          // There was a "----".
};

struct SltFile {
  std::vector<Record> records;
  bool stream_check = false;  // "# stream-check" at the top.
  std::string skip_reason;    // Not empty: an unmet `require`.
};

/// Reads a file with its includes. `variables`: "${NAME}" -> value in all texts.
/// Throws: Error(kSyntax) naming file and line.
SltFile ReadSltFile(const std::string& path, const std::map<std::string, std::string>& variables);

/// "1 | a b | NULL" -> its cells; tabs separate too.
std::vector<std::string> SplitCells(const std::string& row);

}  // namespace millrace
