#include "table/schema_store.h"

#include "base/error.h"
#include "table/snapshot_store.h"

namespace millrace {

namespace {
constexpr const char* kPrefix = "schema-";
}

SchemaStore::SchemaStore(FileSystem& files, const std::string& table_folder)
    : files_(files), folder_(JoinPath(table_folder, "schema")) {}

std::string SchemaStore::PathOf(int64_t id) const {
  return JoinPath(folder_, kPrefix + std::to_string(id));
}

std::optional<int64_t> SchemaStore::LatestId() const {
  std::optional<int64_t> latest;
  for (const FileEntry& entry : files_.List(folder_)) {
    std::optional<int64_t> id = ParseNumberedName(entry.name, kPrefix);
    if (id && (!latest || *id > *latest)) latest = id;
  }
  return latest;
}

std::shared_ptr<const TableSchema> SchemaStore::Latest() const {
  std::optional<int64_t> id = LatestId();
  return id ? Get(*id) : nullptr;
}

std::shared_ptr<const TableSchema> SchemaStore::Get(int64_t id) const {
  {
    std::lock_guard lock(mutex_);
    auto found = known_.find(id);
    if (found != known_.end()) return found->second;
  }
  std::string path = PathOf(id);
  std::string text;
  try {
    text = files_.Read(path);
  } catch (const Error& error) {
    if (error.code() != ErrorCode::kNotFound) throw;
    Throw(ErrorCode::kCorrupt,
          "Cannot read the table: its files refer to the schema file {}, which is missing.", path);
  }
  auto schema = std::make_shared<const TableSchema>(SchemaFromJson(text, path));
  std::lock_guard lock(mutex_);
  return known_.emplace(id, std::move(schema)).first->second;
}

bool SchemaStore::Publish(const TableSchema& schema) {
  return files_.CreateExclusive(PathOf(schema.id), SchemaToJson(schema)) == CreateOutcome::kCreated;
}

}  // namespace millrace
