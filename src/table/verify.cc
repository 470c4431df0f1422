#include "table/verify.h"

#include <algorithm>

#include "base/error.h"
#include "meta/binary_row.h"
#include "table/statistics.h"
#include "table/verify_files.h"
#include "table/verify_indexes.h"
#include "table/verify_vectors.h"

namespace millrace {

namespace {

using Severity = Finding::Severity;
using Entries = std::shared_ptr<const std::vector<ManifestEntry>>;

int64_t RowsOf(const std::vector<ManifestEntry>& entries) {
  int64_t rows = 0;
  for (const ManifestEntry& entry : entries) {
    rows += entry.kind == FileKind::kAdd ? entry.file.row_count : -entry.file.row_count;
  }
  return rows;
}

class TableVerifier {
 public:
  TableVerifier(const TableState& table, bool full)
      : table_(table),
        files_(table, full),
        indexes_(table, files_, full),
        keys_(table, files_),
        shows_once_(full && table.HasPrimaryKey() && table.parsed.deletion_vectors),
        order_(table.Layout().KeyTypes()) {}

  std::vector<Finding> Run() {
    CheckSchemas();
    CheckSnapshots();
    CheckTags();
    CheckChangelogs();
    CheckConsumers();
    return std::move(findings_);
  }

 private:
  void Say(Severity severity, const std::string& file, std::string problem) {
    findings_.push_back({severity, files_.Short(file), std::move(problem)});
  }

  /// Runs checks of one state; what they found does not count when it has gone meanwhile.
  template <typename Check, typename StillThere>
  void Guarded(Check check, StillThere still_there) {
    size_t before = findings_.size();
    check();
    if (findings_.size() == before || still_there()) return;
    findings_.resize(before);
    files_.Forget();
    indexes_.Forget();
    keys_.Forget();
    last_live_.reset();
  }

  // ------------------------------------------------------------------------------- schemas

  void CheckSchemas() {
    std::optional<int64_t> latest = table_.schemas.LatestId();
    for (int64_t id = 0; latest && id <= *latest; id++) {
      std::string path = JoinPath(table_.folder, "schema/schema-" + std::to_string(id));
      if (!files_.SizeOf(path)) {
        // A rollback of schemas or a branch may begin later; files that name it will be found.
        Say(Severity::kWarning, path, "is missing in the row of schemas");
        continue;
      }
      try {
        CheckSchema(*SchemaStore(table_.context.files, table_.folder).Get(id), id, path);
      } catch (const Error& error) {
        if (error.code() == ErrorCode::kIo) throw;
        Say(Severity::kError, path, error.text());
      }
    }
  }

  void CheckSchema(const TableSchema& schema, int64_t id, const std::string& path) {
    if (schema.id != id) Say(Severity::kError, path, fmt::format("says that it is {}", schema.id));
    std::set<int> ids;
    for (const DataField& field : schema.fields) {
      if (!ids.insert(field.id).second) {
        Say(Severity::kError, path, fmt::format("gives the field id {} twice", field.id));
      }
      if (field.id > schema.highest_field_id) {
        Say(Severity::kError, path,
            fmt::format("column '{}' has id {}, above 'highestFieldId' {}", field.name, field.id,
                        schema.highest_field_id));
      }
    }
    for (const auto* keys : {&schema.primary_keys, &schema.partition_keys}) {
      for (const std::string& key : *keys) {
        if (!schema.FindField(key)) {
          Say(Severity::kError, path, fmt::format("the key column '{}' is no column", key));
        }
      }
    }
  }

  // ----------------------------------------------------------------------------- snapshots

  void CheckSnapshots() {
    std::optional<int64_t> earliest = table_.snapshots.EarliestId();
    std::optional<int64_t> latest = table_.snapshots.LatestId();
    if (!earliest || !latest) return;
    for (const FileEntry& entry : table_.context.files.List(JoinPath(table_.folder, "snapshot"))) {
      auto id = ParseNumberedName(entry.name, "snapshot-");
      if (id) earliest = std::min(*earliest, *id);
    }
    std::optional<Snapshot> before;
    for (int64_t id = *earliest; id <= *latest; id++) {
      std::string path = table_.snapshots.PathOf(id);
      std::optional<Snapshot> snapshot;
      try {
        snapshot = table_.snapshots.Find(id);
      } catch (const Error& error) {
        if (error.code() == ErrorCode::kIo) throw;
        Say(Severity::kError, path, error.text());
        last_live_.reset();
      }
      if (snapshot) {
        Guarded([&] { CheckSnapshot(*snapshot, before, path, id); },
                [&] { return table_.context.files.Exists(path); });
      } else if (before && table_.context.files.Exists(table_.snapshots.PathOf(before->id)) &&
                 !table_.context.files.Exists(path)) {
        Say(Severity::kError, path, "is missing between other snapshots");
        last_live_.reset();
      }
      before = snapshot;
      DropOldManifests();
    }
  }

  void CheckSnapshot(const Snapshot& snapshot, const std::optional<Snapshot>& before,
                     const std::string& path, int64_t id) {
    if (snapshot.id != id)
      Say(Severity::kError, path, fmt::format("says that it is {}", snapshot.id));
    if (!table_.schemas.LatestId() || snapshot.schema_id > *table_.schemas.LatestId()) {
      Say(Severity::kError, path,
          fmt::format("names schema {}, which is not there", snapshot.schema_id));
    }
    if (before && before->time_ms > snapshot.time_ms) {
      Say(Severity::kWarning, path,
          fmt::format("is older by its time than snapshot {}", before->id));
    }
    if (before && before->watermark.value_or(INT64_MIN) > snapshot.watermark.value_or(INT64_MIN)) {
      Say(Severity::kWarning, path,
          fmt::format("has a lesser watermark than snapshot {}", before->id));
    }
    auto base = EntriesOf(snapshot.BaseList());
    auto delta = EntriesOf(snapshot.DeltaList());
    if (!base || !delta) {
      last_live_.reset();
      return;
    }
    CheckState(snapshot, *base, *delta, path, before.has_value());
    CheckCounts(snapshot, before, *delta, path);
    if (snapshot.changelog_manifest_list) {
      CheckChangelog(snapshot, path);
    } else if (snapshot.changelog_record_count.value_or(0) != 0) {
      Say(Severity::kError, path,
          fmt::format("says that its changelog has {} rows, and names none",
                      *snapshot.changelog_record_count));
    }
  }

  void CheckState(const Snapshot& snapshot, const std::vector<ManifestEntry>& base,
                  const std::vector<ManifestEntry>& delta, const std::string& path, bool follows) {
    std::vector<ManifestEntry> live;
    std::set<std::string> base_names;
    try {
      std::vector<ManifestEntry> merged = MergeManifestEntries(base);
      for (const ManifestEntry& entry : merged) base_names.insert(FileIdentifier(entry));
      std::vector<ManifestEntry> all = base;
      all.insert(all.end(), delta.begin(), delta.end());
      live = MergeManifestEntries(std::move(all));
    } catch (const Error& error) {
      Say(Severity::kError, path, error.text());
      last_live_.reset();
      return;
    }
    if (follows && last_live_ && *last_live_ != base_names) {
      Say(Severity::kError, path,
          fmt::format("its base is not the state of snapshot {}", snapshot.id - 1));
    }
    last_live_.emplace();
    int64_t rows = 0;
    for (const ManifestEntry& entry : live) {
      last_live_->insert(FileIdentifier(entry));
      if (entry.kind == FileKind::kDelete) {
        Say(Severity::kError, path,
            fmt::format("removes the file {}, which was not there", entry.file.file_name));
        continue;
      }
      rows += entry.file.row_count;
      files_.CheckData(entry, findings_);
    }
    if (rows != snapshot.total_record_count) {
      Say(Severity::kError, path,
          fmt::format("says that its files hold {} rows; they hold {}", snapshot.total_record_count,
                      rows));
    }
    CheckBuckets(live, path);
    CheckStatistics(snapshot);
    indexes_.Check(snapshot, live, findings_);
    if (shows_once_) keys_.Check(snapshot, live, findings_);
  }

  void CheckCounts(const Snapshot& snapshot, const std::optional<Snapshot>& before,
                   const std::vector<ManifestEntry>& delta, const std::string& path) {
    if (RowsOf(delta) != snapshot.delta_record_count) {
      Say(Severity::kError, path,
          fmt::format("says that it changes the row count by {}; it is {}",
                      snapshot.delta_record_count, RowsOf(delta)));
    }
    if (before &&
        before->total_record_count + snapshot.delta_record_count != snapshot.total_record_count) {
      Say(Severity::kError, path,
          fmt::format("has {} rows; snapshot {} had {} and it adds {}", snapshot.total_record_count,
                      before->id, before->total_record_count, snapshot.delta_record_count));
    }
  }

  void CheckChangelog(const Snapshot& snapshot, const std::string& path) {
    auto entries = EntriesOf(snapshot.ChangelogList());
    if (!entries) return;
    int64_t rows = 0;
    for (const ManifestEntry& entry : *entries) {
      if (entry.kind == FileKind::kDelete) {
        Say(Severity::kError, path,
            fmt::format("its changelog removes the file {}", entry.file.file_name));
        continue;
      }
      rows += entry.file.row_count;
      files_.CheckChangelog(entry, findings_);
    }
    if (snapshot.changelog_record_count && *snapshot.changelog_record_count != rows) {
      Say(Severity::kError, path,
          fmt::format("says that its changelog has {} rows; it has {}",
                      *snapshot.changelog_record_count, rows));
    }
  }

  // --------------------------------------------------------------------------- live files

  void CheckBuckets(const std::vector<ManifestEntry>& live, const std::string& path) {
    std::map<std::pair<RowBytes, int>, std::vector<const ManifestEntry*>> buckets;
    std::map<RowBytes, int> counts;
    for (const ManifestEntry& entry : live) {
      if (entry.kind == FileKind::kDelete) continue;
      buckets[{entry.partition, entry.bucket}].push_back(&entry);
      auto [count, is_new] = counts.try_emplace(entry.partition, entry.total_buckets);
      if (!is_new && count->second != entry.total_buckets) {
        Say(Severity::kError, path,
            fmt::format("file {} says that its partition has {} buckets, another says {}",
                        entry.file.file_name, entry.total_buckets, count->second));
        count->second = entry.total_buckets;
      }
      if (entry.total_buckets > 0 && (entry.bucket < 0 || entry.bucket >= entry.total_buckets)) {
        Say(Severity::kError, path,
            fmt::format("file {} is in bucket {} of {}", entry.file.file_name, entry.bucket,
                        entry.total_buckets));
      }
    }
    for (const auto& [name, entries] : buckets) CheckBucket(entries, path);
  }

  void CheckBucket(const std::vector<const ManifestEntry*>& entries, const std::string& path) {
    struct Range {
      std::string least, greatest;
      const ManifestEntry* entry;
    };
    std::map<int, std::vector<Range>> levels;
    std::set<std::string> names;
    for (const ManifestEntry* entry : entries) {
      const DataFileMeta& file = entry->file;
      if (!names.insert(file.file_name).second) {
        Say(Severity::kError, path, fmt::format("file {} is there at two levels", file.file_name));
      }
      if (file.min_sequence_number > file.max_sequence_number) {
        Say(Severity::kError, path,
            fmt::format("file {} has sequence numbers from {} to {}", file.file_name,
                        file.min_sequence_number, file.max_sequence_number));
      }
      if (!table_.HasPrimaryKey() || entry->bucket < 0) continue;
      Range range{order_.Normalise(file.min_key), order_.Normalise(file.max_key), entry};
      if (range.greatest < range.least) {
        Say(Severity::kError, path,
            fmt::format("file {} has a greatest key below its least one", file.file_name));
      }
      if (file.level > 0) levels[file.level].push_back(std::move(range));
    }
    for (auto& [level, ranges] : levels) {
      std::sort(ranges.begin(), ranges.end(),
                [](const Range& a, const Range& b) { return a.least < b.least; });
      for (size_t i = 1; i < ranges.size(); i++) {
        if (ranges[i - 1].greatest < ranges[i].least) continue;
        Say(Severity::kError, path,
            fmt::format("files {} and {} overlap in level {} of bucket {}",
                        ranges[i - 1].entry->file.file_name, ranges[i].entry->file.file_name, level,
                        ranges[i].entry->bucket));
      }
    }
  }

  void CheckStatistics(const Snapshot& snapshot) {
    if (!snapshot.statistics || !checked_.insert(*snapshot.statistics).second) return;
    try {
      ReadStatistics(table_, *snapshot.statistics);
    } catch (const Error& error) {
      if (error.code() == ErrorCode::kIo) throw;
      Say(Severity::kError, StatisticsPath(table_, *snapshot.statistics), error.text());
    }
  }

  // ----------------------------------------------------------------------------- manifests

  /// All entries of a list in order; nullptr when they cannot be read, which has been said then.
  Entries EntriesOf(const ListFile& list) {
    std::string path = table_.manifests.PathOf(list.name);
    if (list.size && checked_.insert(list.name).second) {
      std::optional<int64_t> size = files_.SizeOf(path);
      if (size && *list.size < *size) {
        Say(Severity::kError, path,
            fmt::format("has {} bytes, its snapshot says {}: readers of the Java version would see "
                        "no files at all",
                        *size, *list.size));
      }
    }
    auto all = std::make_shared<std::vector<ManifestEntry>>();
    try {
      for (const ManifestFileMeta& manifest : table_.manifests.ReadList(list)) {
        Entries entries = ReadManifest(manifest);
        if (!entries) return nullptr;
        all->insert(all->end(), entries->begin(), entries->end());
      }
    } catch (const Error& error) {
      if (error.code() == ErrorCode::kIo) throw;
      Say(Severity::kError, path, error.text());
      return nullptr;
    }
    return all;
  }

  Entries ReadManifest(const ManifestFileMeta& manifest) {
    used_.insert(manifest.file_name);
    auto found = manifests_.find(manifest.file_name);
    if (found != manifests_.end()) return found->second;
    Entries entries;
    try {
      entries = std::make_shared<std::vector<ManifestEntry>>(table_.manifests.Read(manifest));
      if (checked_.insert(manifest.file_name).second) CheckManifest(manifest, *entries);
    } catch (const Error& error) {
      if (error.code() == ErrorCode::kIo) throw;
      if (checked_.insert(manifest.file_name).second) {
        Say(Severity::kError, table_.manifests.PathOf(manifest.file_name), error.text());
      }
    }
    manifests_[manifest.file_name] = entries;
    return entries;
  }

  void CheckManifest(const ManifestFileMeta& manifest, const std::vector<ManifestEntry>& entries) {
    std::string path = table_.manifests.PathOf(manifest.file_name);
    files_.CheckFile(path, manifest.file_size, findings_);
    int64_t added = 0;
    for (const ManifestEntry& entry : entries) {
      added += entry.kind == FileKind::kAdd ? 1 : 0;
      bool outside = (manifest.min_bucket && entry.bucket < *manifest.min_bucket) ||
                     (manifest.max_bucket && entry.bucket > *manifest.max_bucket) ||
                     (manifest.min_level && entry.file.level < *manifest.min_level) ||
                     (manifest.max_level && entry.file.level > *manifest.max_level);
      if (outside || entry.file.schema_id > manifest.schema_id) {
        Say(Severity::kError, path,
            fmt::format("its list gives bounds of bucket, level or schema that leave out file {}",
                        entry.file.file_name));
      }
      CheckPartitionBounds(manifest, entry, path);
    }
    int64_t removed = static_cast<int64_t>(entries.size()) - added;
    if (added != manifest.added_files || removed != manifest.deleted_files) {
      Say(Severity::kError, path,
          fmt::format("adds {} files and removes {}; its list says {} and {}", added, removed,
                      manifest.added_files, manifest.deleted_files));
    }
  }

  void CheckPartitionBounds(const ManifestFileMeta& manifest, const ManifestEntry& entry,
                            const std::string& path) {
    std::vector<DataType> types = PartitionTypes(table_.schema);
    if (types.empty()) return;
    std::vector<Value> least = DecodeRow(types, manifest.partition_stats.min_values);
    std::vector<Value> greatest = DecodeRow(types, manifest.partition_stats.max_values);
    std::vector<Value> partition = DecodeRow(types, entry.partition);
    for (idx_t i = 0; i < types.size(); i++) {
      if (partition[i].IsNull() || least[i].IsNull() || greatest[i].IsNull()) continue;
      if (!(partition[i] < least[i]) && !(greatest[i] < partition[i])) continue;
      Say(Severity::kError, path,
          fmt::format("holds partition {} of '{}'; its list says {} to {}", partition[i].ToString(),
                      table_.schema.partition_keys[i], least[i].ToString(),
                      greatest[i].ToString()));
    }
  }

  /// Keeps what the snapshot just looked at used: the next one shares most of it.
  void DropOldManifests() {
    std::erase_if(manifests_, [&](const auto& item) { return !used_.contains(item.first); });
    used_.clear();
  }

  // ------------------------------------------------------------------------ tags, consumers

  void CheckTags() {
    for (const std::string& name : table_.tags.Names()) {
      std::string path = table_.tags.PathOf(name);
      std::optional<Tag> tag;
      try {
        tag = table_.tags.Find(name);
      } catch (const Error& error) {
        if (error.code() == ErrorCode::kIo) throw;
        Say(Severity::kError, path, error.text());
      }
      if (!tag || table_.snapshots.Find(tag->snapshot.id) == tag->snapshot) continue;
      last_live_.reset();
      Guarded(
          [&] {
            const Snapshot& snapshot = tag->snapshot;
            auto base = EntriesOf(snapshot.BaseList());
            auto delta = EntriesOf(snapshot.DeltaList());
            if (!base || !delta) return;
            CheckState(snapshot, *base, *delta, path, false);
          },
          [&] { return table_.tags.Find(name) == tag; });
      DropOldManifests();
    }
  }

  void CheckChangelogs() {
    bool has_files =
        table_.HasPrimaryKey() && table_.parsed.changelog_producer != ChangelogProducer::kNone;
    for (int64_t id : table_.changelogs.Ids()) {
      std::string path = table_.changelogs.PathOf(id);
      std::optional<Snapshot> changelog;
      try {
        changelog = table_.changelogs.Find(id);
      } catch (const Error& error) {
        if (error.code() == ErrorCode::kIo) throw;
        Say(Severity::kError, path, error.text());
      }
      if (!changelog) continue;
      Guarded(
          [&] {
            if (changelog->id != id) {
              Say(Severity::kError, path, fmt::format("says that it is {}", changelog->id));
            }
            if (changelog->changelog_manifest_list) {
              CheckChangelog(*changelog, path);
            } else if (!has_files && changelog->commit_kind == CommitKind::kAppend) {
              CheckAppended(*changelog);
            }
          },
          [&] { return table_.changelogs.Find(id) == changelog; });
      DropOldManifests();
    }
  }

  /// Of a table without changelog files the appended data files are the changelog.
  void CheckAppended(const Snapshot& changelog) {
    auto delta = EntriesOf(changelog.DeltaList());
    if (!delta) return;
    for (const ManifestEntry& entry : *delta) {
      if (entry.kind == FileKind::kAdd) files_.CheckData(entry, findings_);
    }
  }

  void CheckConsumers() {
    std::optional<int64_t> earliest = table_.snapshots.EarliestId();
    for (const FileEntry& entry : table_.context.files.List(JoinPath(table_.folder, "consumer"))) {
      constexpr std::string_view kPrefix = "consumer-";
      if (!entry.name.starts_with(kPrefix)) continue;
      std::string id = entry.name.substr(kPrefix.size());
      try {
        auto next = table_.consumers.Find(id);
        if (next && earliest && *next < *earliest) {
          Say(Severity::kWarning, table_.consumers.PathOf(id),
              fmt::format("waits for snapshot {}, which has expired; the oldest is {}", *next,
                          *earliest));
        }
      } catch (const Error& error) {
        if (error.code() == ErrorCode::kIo) throw;
        Say(Severity::kError, table_.consumers.PathOf(id), error.text());
      }
    }
  }

  const TableState& table_;
  FileVerifier files_;
  IndexVerifier indexes_;
  VisibleKeyVerifier keys_;
  const bool shows_once_;  // A key, by deletion vectors.
  const KeyOrder order_;
  std::vector<Finding> findings_;
  std::set<std::string> checked_;  // Metadata files: each is judged once.
  std::map<std::string, Entries> manifests_;
  std::set<std::string> used_;
  std::optional<std::set<std::string>> last_live_;  // Identifiers, of the snapshot before.
};

}  // namespace

const char* SeverityName(Finding::Severity severity) {
  return severity == Finding::Severity::kError ? "ERROR" : "WARNING";
}

std::vector<Finding> VerifyTable(const TableState& table, bool full) {
  return TableVerifier(table, full).Run();
}

}  // namespace millrace
