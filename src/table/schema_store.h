// schema_store.h - the schema files of a table: schema/schema-0, -1, ...
//
// Written once, by an exclusive create, and never changed: a data file names the schema that it was
// written with. Bytes on disk: docs/format.md#schema.
#pragma once

#include <mutex>

#include "io/file_system.h"
#include "meta/schema.h"

namespace millrace {

/// Finds and publishes the schemas of one table; remembers those it has read.
/// Threads: safe. Throws: Error(kIo, kCorrupt) naming the file.
class SchemaStore {
 public:
  SchemaStore(FileSystem& files, const std::string& table_folder);

  /// The newest schema; nullopt when this is no table.
  std::shared_ptr<const TableSchema> Latest() const;
  std::optional<int64_t> LatestId() const;
  bool Exists(int64_t id) const { return files_.Exists(PathOf(id)); }
  /// Throws: Error(kCorrupt) when a file refers to a schema that is not there.
  std::shared_ptr<const TableSchema> Get(int64_t id) const;
  /// False when a schema of that id exists already.
  [[nodiscard]] bool Publish(const TableSchema& schema);

 private:
  std::string PathOf(int64_t id) const;

  FileSystem& files_;
  std::string folder_;  // <table>/schema
  mutable std::mutex mutex_;
  mutable std::map<int64_t, std::shared_ptr<const TableSchema>> known_;
};

}  // namespace millrace
