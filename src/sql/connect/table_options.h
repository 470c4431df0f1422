// table_options.h - the options of a table as numbers, flags and durations, and rates kept by the
// clock.
#pragma once

#include <limits>

#include "io/clock.h"
#include "meta/table_definition.h"

namespace millrace {

/// Reads the options of one table.
/// Threads: safe. Throws: Error(kInvalid) naming table, option, value and what it can be.
class TableOptions {
 public:
  /// `definition` must outlive this object.
  explicit TableOptions(const TableDefinition& definition) : definition_(definition) {}

  bool Has(const std::string& name) const { return definition_.options.count(name) != 0; }
  std::string Text(const std::string& name, const std::string& standard = "") const;
  std::string Required(const std::string& name) const;
  bool Flag(const std::string& name, bool standard = false) const;
  int64_t Integer(const std::string& name, int64_t standard,
                  int64_t least = std::numeric_limits<int64_t>::min(),
                  int64_t most = std::numeric_limits<int64_t>::max()) const;
  double Number(const std::string& name, double standard) const;
  /// "10 s", "500ms", "1 min", "2 h", "1 d"; without a unit milliseconds.
  int64_t DurationMs(const std::string& name, int64_t standard) const;
  [[noreturn]] void Refuse(const std::string& name, const std::string& what) const;

 private:
  const TableDefinition& definition_;
};

/// The fields of a table's physical columns, in order, ids -1.
std::vector<DataField> PhysicalFields(const TableDefinition& definition);

/// Lets `per_second` rows pass each second, those of the first second at once; 0 = all.
/// Threads: one at a time.
class RateLimit {
 public:
  RateLimit(Clock& clock, int64_t per_second) : clock_(clock), per_second_(per_second) {}
  /// How many may pass now of `wanted`.
  int64_t Allow(int64_t wanted);
  void Take(int64_t count) { taken_ += count; }

 private:
  Clock& clock_;
  int64_t per_second_;
  int64_t started_us_ = -1;
  int64_t taken_ = 0;
};

}  // namespace millrace
