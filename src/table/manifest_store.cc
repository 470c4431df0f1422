#include "table/manifest_store.h"

#include <algorithm>
#include <set>

#include "base/error.h"
#include "meta/binary_row.h"

namespace millrace {

ManifestStore::ManifestStore(FileSystem& files, const std::string& table_folder, ObjectCache* cache)
    : files_(files), folder_(JoinPath(table_folder, "manifest")), cache_(cache) {}

std::string ManifestStore::PathOf(const std::string& name) const {
  return JoinPath(folder_, name);
}

std::string ManifestStore::ReadFile(const ListFile& file) const {
  std::string path = PathOf(file.name);
  std::string bytes;
  try {
    bytes = files_.Read(path);
  } catch (const Error& error) {
    if (error.code() != ErrorCode::kNotFound) throw;
    Throw(ErrorCode::kCorrupt,
          "Cannot read the table: its metadata names the file {}, which is missing. "
          "If its snapshot was expired meanwhile, run the query again.",
          path);
  }
  // Avro has no end mark: what is cut between two blocks parses as a shorter file.
  if (file.size && static_cast<int64_t>(bytes.size()) < *file.size) {
    Throw(ErrorCode::kCorrupt,
          "Cannot read the table: the file {} has {} bytes, the metadata that names it says {}.",
          path, bytes.size(), *file.size);
  }
  return bytes;
}

namespace {

// About what decoded items take in memory.
constexpr int64_t kListItemBytes = 400;
constexpr int64_t kEntryBytes = 1500;
constexpr int64_t kIndexEntryBytes = 400;
/// Manifests that are larger together are read with filters, each time.
constexpr int64_t kSharedManifestBytes = 1 << 20;

}  // namespace

template <typename T, typename Decode>
std::shared_ptr<const T> ManifestStore::Shared(const ListFile& file, int64_t item_bytes,
                                               Decode decode) const {
  std::string path = PathOf(file.name);
  if (cache_) {
    if (auto found = cache_->Find<T>(path)) return found;
  }
  auto made = std::make_shared<const T>(decode(ReadFile(file), path));
  if (cache_) cache_->Put(path, made, static_cast<int64_t>(made->size() + 1) * item_bytes);
  return made;
}

std::vector<ManifestFileMeta> ManifestStore::ReadList(const ListFile& list) const {
  return *Shared<std::vector<ManifestFileMeta>>(list, kListItemBytes, ManifestListFromAvro);
}

std::shared_ptr<const ManifestStore::Entries> ManifestStore::SharedEntries(
    const ManifestFileMeta& manifest) const {
  return Shared<Entries>({manifest.file_name, manifest.file_size}, kEntryBytes, ManifestFromAvro);
}

std::vector<ManifestEntry> ManifestStore::Read(const ManifestFileMeta& manifest) const {
  return *SharedEntries(manifest);
}

std::vector<IndexManifestEntry> ManifestStore::ReadIndex(const std::string& name) const {
  return *Shared<std::vector<IndexManifestEntry>>({name, {}}, kIndexEntryBytes,
                                                  IndexManifestFromAvro);
}

std::vector<ManifestFileMeta> ManifestStore::ManifestsOf(const Snapshot& snapshot) const {
  std::vector<ManifestFileMeta> manifests = ReadList(snapshot.BaseList());
  std::vector<ManifestFileMeta> delta = ReadList(snapshot.DeltaList());
  manifests.insert(manifests.end(), delta.begin(), delta.end());
  return manifests;
}

namespace {

void AppendIf(const std::vector<ManifestEntry>& entries, const EntryFilter& filter,
              std::vector<ManifestEntry>& out) {
  for (const ManifestEntry& entry : entries) {
    if (!filter || filter(entry)) out.push_back(entry);
  }
}

}  // namespace

std::vector<ManifestEntry> ManifestStore::EntriesOf(const ListFile& list,
                                                    const EntryFilter& filter) const {
  std::vector<ManifestEntry> entries;
  for (const ManifestFileMeta& manifest : ReadList(list)) {
    AppendIf(*SharedEntries(manifest), filter, entries);
  }
  return entries;
}

std::shared_ptr<const ManifestStore::Entries> ManifestStore::SharedLive(
    const Snapshot& snapshot) const {
  if (!cache_) return nullptr;
  std::string name = fmt::format("live files of {} and {}", PathOf(snapshot.base_manifest_list),
                                 snapshot.delta_manifest_list);
  if (auto found = cache_->Find<Entries>(name)) return found;
  std::vector<ManifestFileMeta> manifests = ManifestsOf(snapshot);
  int64_t bytes = 0;
  for (const ManifestFileMeta& manifest : manifests) bytes += manifest.file_size;
  if (bytes > kSharedManifestBytes) return nullptr;
  Entries entries;
  for (const ManifestFileMeta& manifest : manifests) {
    AppendIf(*SharedEntries(manifest), {}, entries);
  }
  auto live = std::make_shared<const Entries>(MergeManifestEntries(std::move(entries)));
  RefuseStrayDeletes(*live, snapshot);
  cache_->Put(name, live, static_cast<int64_t>(live->size() + 1) * kEntryBytes);
  return live;
}

std::vector<ManifestEntry> ManifestStore::LiveEntries(const Snapshot& snapshot,
                                                      const EntryFilter& filter,
                                                      const ManifestFilter& manifest_filter) const {
  std::vector<ManifestEntry> entries;
  if (auto shared = SharedLive(snapshot)) {
    AppendIf(*shared, filter, entries);
    return entries;
  }
  for (const ManifestFileMeta& manifest : ManifestsOf(snapshot)) {
    if (manifest_filter && !manifest_filter(manifest)) continue;
    AppendIf(*SharedEntries(manifest), filter, entries);
  }
  std::vector<ManifestEntry> live = MergeManifestEntries(std::move(entries));
  RefuseStrayDeletes(live, snapshot);
  return live;
}

void ManifestStore::RefuseStrayDeletes(const Entries& live, const Snapshot& snapshot) const {
  for (const ManifestEntry& entry : live) {
    if (entry.kind == FileKind::kDelete) {
      Throw(ErrorCode::kCorrupt,
            "Cannot read snapshot {}: its manifests delete the file {}, which they "
            "never added (manifest list {}).",
            snapshot.id, entry.file.file_name, PathOf(snapshot.delta_manifest_list));
    }
  }
}

std::vector<DataType> PartitionTypes(const TableSchema& schema) {
  std::vector<DataType> types;
  for (idx_t column : schema.PartitionColumns()) types.push_back(schema.fields[column].type);
  return types;
}

ManifestWriter::ManifestWriter(FileSystem& files, const ManifestStore& store,
                               const TableSchema& schema, Random& random, int64_t target_bytes)
    : files_(files),
      store_(store),
      partition_types_(PartitionTypes(schema)),
      uuid_(random.Uuid()),
      target_bytes_(target_bytes) {}

std::string ManifestWriter::WriteFile(const std::string& name, const std::string& bytes) {
  std::string path = store_.PathOf(name);
  written_.push_back(path);  // First: a half-written file is taken back too.
  files_.WriteUnsynced(path, bytes);
  return name;
}

ManifestFileMeta ManifestWriter::Describe(const std::vector<ManifestEntry>& entries) const {
  ManifestFileMeta meta;
  std::set<RowBytes> partitions;
  std::vector<Value> least(partition_types_.size()), greatest(partition_types_.size());
  std::vector<std::optional<int64_t>> nulls(partition_types_.size(), 0);
  for (const ManifestEntry& entry : entries) {
    (entry.kind == FileKind::kAdd ? meta.added_files : meta.deleted_files)++;
    meta.schema_id = std::max(meta.schema_id, entry.file.schema_id);
    meta.min_bucket = std::min(meta.min_bucket.value_or(entry.bucket), entry.bucket);
    meta.max_bucket = std::max(meta.max_bucket.value_or(entry.bucket), entry.bucket);
    meta.min_level = std::min(meta.min_level.value_or(entry.file.level), entry.file.level);
    meta.max_level = std::max(meta.max_level.value_or(entry.file.level), entry.file.level);
    partitions.insert(entry.partition);
  }
  for (const RowBytes& partition : partitions) {
    std::vector<Value> values = DecodeRow(partition_types_, partition);
    for (idx_t i = 0; i < values.size(); i++) {
      if (values[i].IsNull()) {
        nulls[i] = *nulls[i] + 1;
        continue;
      }
      if (least[i].IsNull() || values[i] < least[i]) least[i] = values[i];
      if (greatest[i].IsNull() || values[i] > greatest[i]) greatest[i] = values[i];
    }
  }
  meta.partition_stats = {EncodeRow(partition_types_, least), EncodeRow(partition_types_, greatest),
                          nulls};
  return meta;
}

std::vector<ManifestFileMeta> ManifestWriter::WriteManifests(
    const std::vector<ManifestEntry>& entries) {
  std::vector<ManifestFileMeta> manifests;
  if (entries.empty()) return manifests;
  std::string bytes = ManifestToAvro(entries);
  size_t parts = static_cast<size_t>(bytes.size() / (target_bytes_ + target_bytes_ / 2)) + 1;
  parts = std::min(parts, entries.size());
  for (size_t part = 0; part < parts; part++) {
    std::vector<ManifestEntry> slice(entries.begin() + entries.size() * part / parts,
                                     entries.begin() + entries.size() * (part + 1) / parts);
    if (parts > 1) bytes = ManifestToAvro(slice);
    ManifestFileMeta meta = Describe(slice);
    meta.file_name = WriteFile(fmt::format("manifest-{}-{}", uuid_, manifests_++), bytes);
    meta.file_size = static_cast<int64_t>(bytes.size());
    manifests.push_back(std::move(meta));
  }
  return manifests;
}

ListFile ManifestWriter::WriteList(const std::vector<ManifestFileMeta>& manifests) {
  std::string bytes = ManifestListToAvro(manifests);
  std::string name = WriteFile(fmt::format("manifest-list-{}-{}", uuid_, lists_++), bytes);
  return {name, static_cast<int64_t>(bytes.size())};
}

std::string ManifestWriter::WriteIndex(const std::vector<IndexManifestEntry>& entries) {
  return WriteFile(fmt::format("index-manifest-{}-{}", uuid_, indexes_++),
                   IndexManifestToAvro(entries));
}

std::vector<ManifestFileMeta> ManifestWriter::MergeManifests(
    std::vector<ManifestFileMeta> manifests, int merge_min_count, int64_t full_bytes) {
  auto rewrite = [&](auto begin, auto end, std::vector<ManifestFileMeta>& out) {
    std::vector<ManifestEntry> entries;
    for (auto manifest = begin; manifest != end; ++manifest) {
      std::vector<ManifestEntry> read = store_.Read(*manifest);
      std::move(read.begin(), read.end(), std::back_inserter(entries));
    }
    // Cancels pairs; a DELETE whose ADD lies in an earlier manifest stays.
    for (ManifestFileMeta& meta : WriteManifests(MergeManifestEntries(entries)))
      out.push_back(meta);
  };
  std::vector<ManifestFileMeta> merged;
  int64_t rewritable = 0;
  for (const ManifestFileMeta& manifest : manifests) {
    if (manifest.deleted_files > 0 || manifest.file_size < target_bytes_)
      rewritable += manifest.file_size;
  }
  if (rewritable >= full_bytes) {
    rewrite(manifests.begin(), manifests.end(), merged);
    return merged;
  }
  auto group = manifests.begin();
  int64_t group_bytes = 0;
  for (auto manifest = manifests.begin(); manifest != manifests.end(); ++manifest) {
    group_bytes += manifest->file_size;
    if (group_bytes < target_bytes_) continue;
    if (group == manifest) {
      merged.push_back(*manifest);
    } else {
      rewrite(group, manifest + 1, merged);
    }
    group = manifest + 1;
    group_bytes = 0;
  }
  if (manifests.end() - group >= merge_min_count) {
    rewrite(group, manifests.end(), merged);
  } else {
    merged.insert(merged.end(), group, manifests.end());
  }
  return merged;
}

void ManifestWriter::DeleteSince(size_t mark) {
  for (size_t i = mark; i < written_.size(); i++) {
    try {
      files_.Delete(written_[i]);
    } catch (const Error&) {
      // An orphan: no snapshot names it.
    }
  }
  written_.resize(mark);
  synced_ = std::min(synced_, mark);
}

void ManifestWriter::Sync() {
  files_.SyncFiles({written_.begin() + static_cast<ptrdiff_t>(synced_), written_.end()});
  synced_ = written_.size();
}

}  // namespace millrace
