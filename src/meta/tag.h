// tag.h - tag/tag-<name> of a table: a copy of a snapshot that outlives it. Bytes on disk:
// docs/format.md#tags (Tag.java).
#pragma once

#include "meta/snapshot.h"

namespace millrace {

struct Tag {
  Snapshot snapshot;
  /// Local wall clock as if it were UTC; there only together with a lifetime.
  std::optional<int64_t> created_ns;
  std::optional<int64_t> retained_ns;
  bool operator==(const Tag&) const = default;
};

std::string TagToJson(const Tag& tag);
/// `file` only names the culprit. Throws: Error(kCorrupt).
Tag TagFromJson(std::string_view json, const std::string& file);

}  // namespace millrace
