// verify.h - VERIFY TABLE: every invariant of the format, and which file breaks it.
//
// Metadata always: schemas, the chain of snapshots, lists, manifests, counts, levels, key ranges,
// files present with their recorded size, tags, changelogs, indexes. With `full` every data file is
// read too: key order, statistics, row counts, buckets, checksums.
#pragma once

#include "table/table_state.h"

namespace millrace {

struct Finding {
  enum class Severity : uint8_t {
    kError,    // Readers fail or give wrong answers.
    kWarning,  // Out of order, but every answer is right.
  };
  Severity severity = Severity::kError;
  std::string file;  // Path below the table's folder.
  std::string problem;
  bool operator==(const Finding&) const = default;
};

/// Looks at everything that is there now; what expires meanwhile is no finding. Empty: all is well.
/// Throws: Error(kIo) when storage fails; damage is a finding.
/// Cost: each manifest is read once; `full` reads every row of every file that anything names.
std::vector<Finding> VerifyTable(const TableState& table, bool full);

const char* SeverityName(Finding::Severity severity);

}  // namespace millrace
