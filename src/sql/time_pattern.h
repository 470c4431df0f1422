// time_pattern.h - Java's date patterns (yyyy-MM-dd HH:mm:ss.SSS) over microseconds.
//
// Letters: y u year, M month (MMM Jan, MMMM January), d day, D day of year, H hour, h hour of 12,
// m, s, S fraction (as many digits as letters), a AM/PM, E weekday; 'quoted' text; other characters
// themselves.
#pragma once

#include "base/duck.h"

namespace millrace {

/// A pattern, cut into its fields once.
///
/// Threads: safe when const.
class TimePattern {
 public:
  /// Throws: Error(kInvalid) for a letter that is not supported.
  explicit TimePattern(std::string_view pattern);

  /// Appends the text of a time, in microseconds since 1970.
  void Format(int64_t micros, std::string& out) const;
  /// The time that `text` says; nullopt when it does not follow the pattern or is no valid time.
  [[nodiscard]] std::optional<int64_t> Parse(std::string_view text) const;

 private:
  struct Field {
    char letter;  // '\0': literal text.
    int count;
    std::string literal;
  };
  std::vector<Field> fields_;
};

}  // namespace millrace
