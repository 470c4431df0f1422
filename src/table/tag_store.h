// tag_store.h - the tags of a table: tag/tag-<name>, each a copy of a snapshot file.
//
// A tag exists iff its file does. It keeps the files of its snapshot alive, also when the snapshot
// has expired; expiry (expire.h) and deletion of tags (tags.h) see to that. Bytes:
// docs/format.md#tags.
#pragma once

#include "io/file_system.h"
#include "meta/tag.h"

namespace millrace {

struct NamedTag {
  std::string name;
  Tag tag;
};

/// Finds and writes the tags of one table.
/// Threads: safe; it holds no state. Throws: Error(kIo, kCorrupt) naming the file.
class TagStore {
 public:
  TagStore(FileSystem& files, const std::string& table_folder);

  std::optional<Tag> Find(const std::string& name) const;
  /// Error(kNotFound) with the names there are.
  Tag Need(const std::string& name) const;
  std::vector<std::string> Names() const;
  /// Ordered by snapshot id, then by name. A tag that is deleted meanwhile is left out.
  std::vector<NamedTag> All() const;

  /// Only the file; what it may name is up to the caller. False when there is one of that name.
  [[nodiscard]] bool Create(const std::string& name, const Tag& tag);
  void Replace(const std::string& name, const Tag& tag);
  void Rename(const std::string& from, const std::string& to);
  /// False when there was none.
  bool Remove(const std::string& name);

  std::string PathOf(const std::string& name) const;
  const std::string& folder() const { return folder_; }

 private:
  FileSystem& files_;
  std::string folder_;  // <table>/tag
};

}  // namespace millrace
