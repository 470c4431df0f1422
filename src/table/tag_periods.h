// tag_periods.h - the names and times of automatic tags: "2024-01-31" for a day that has ended.
//
// A period is tagged once it is over; its tag is named after its beginning. Rules:
// TagPeriodHandler.java, TagAutoCreation.java.
#pragma once

#include "meta/table_definition.h"

namespace millrace {

/// How a table divides time for its tags. Local times are milliseconds of a wall clock as if UTC.
/// Threads: safe (immutable).
class TagPeriods {
 public:
  /// By `tag.creation-period`, `tag.period-formatter`, `tag.creation-period-duration`. Throws:
  /// Error(kInvalid) naming the option.
  explicit TagPeriods(const Options& options);
  /// nullopt when `tag.automatic-creation` makes none by time.
  static std::optional<TagPeriods> OfAutomatic(const Options& options);

  /// The beginning of the period that a tag of this name stands for; nullopt when it is no such
  /// name.
  std::optional<int64_t> TimeOf(const std::string& name) const;
  std::string NameOf(int64_t begin_ms) const;
  /// The beginning of the last period that is over at `local_ms`.
  int64_t LastOver(int64_t local_ms) const;
  int64_t Next(int64_t begin_ms) const { return begin_ms + period_ms_; }
  int64_t period_ms() const { return period_ms_; }

 private:
  int64_t period_ms_ = 0;
  std::string pattern_;  // Of strftime, minutes at the finest.
};

}  // namespace millrace
