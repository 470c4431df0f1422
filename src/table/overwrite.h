// overwrite.h - which partitions a commit replaces.
//
// An OVERWRITE snapshot deletes every live file of the partitions in its scope and adds its own;
// what others added to them meanwhile goes too (docs/internals/commit.md#overwriting).
#pragma once

#include "meta/manifest.h"
#include "meta/schema.h"

namespace millrace {

/// The partitions in which `columns` have `values`; the other partition columns are free.
struct PartitionSpec {
  std::vector<std::string> columns;
  RowBytes values;  // In the order of `columns`; NULL is the default partition.
  bool operator==(const PartitionSpec&) const = default;
};

/// What a commit replaces. A plain value, kept in checkpoints.
struct OverwriteScope {
  bool dynamic = false;                   // The partitions that the new files lie in.
  std::vector<PartitionSpec> partitions;  // Else these; the whole table when there are none.
  bool operator==(const OverwriteScope&) const = default;
};

/// Values of partition columns, by name, as a spec. Values are cast to the columns' types.
/// `doing`: "Dropping partitions of 't'". Throws: Error(kInvalid) naming the column or value.
PartitionSpec MakePartitionSpec(const TableSchema& schema,
                                const std::map<std::string, Value>& values,
                                const std::string& doing);

/// Tells which partitions are in a scope that is not dynamic.
/// Threads: safe (immutable). Throws: Error(kCorrupt) when `partition` does not decode.
class PartitionMatcher {
 public:
  PartitionMatcher(const TableSchema& schema, const std::vector<PartitionSpec>& specs);
  bool Matches(const RowBytes& partition) const;

 private:
  struct Condition {
    idx_t position;  // Among the partition columns.
    Value value;
  };
  std::vector<DataType> types_;
  std::vector<std::vector<Condition>> alternatives_;
};

}  // namespace millrace
