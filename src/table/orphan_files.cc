#include "table/orphan_files.h"

#include <algorithm>

#include "base/error.h"
#include "table/file_references.h"

namespace millrace {

namespace {

class OrphanFinder {
 public:
  OrphanFinder(const TableState& table, int64_t older_than_ms)
      : table_(table), older_than_ms_(older_than_ms), used_(table) {}

  std::vector<OrphanFile> Find() {
    // Candidates first: what is committed while we look is in use by then.
    for (const char* folder : {"manifest", "index", "statistics"}) {
      AddCandidates(JoinPath(table_.folder, folder));
    }
    AddDataCandidates(table_.folder, table_.schema.partition_keys.size());
    AddStrayMetadata(table_.folder);
    std::vector<std::string> branches = BranchFolders(table_);
    for (const std::string& branch : branches) AddStrayMetadata(branch);
    if (!candidates_.empty()) {
      AddUsed(table_.folder);
      for (const std::string& branch : branches) AddUsed(branch);
    }
    std::erase_if(candidates_, [&](const OrphanFile& file) { return used_.Has(file.path); });
    candidates_.insert(candidates_.end(), strays_.begin(), strays_.end());
    return std::move(candidates_);
  }

 private:
  bool IsOld(const FileEntry& entry) const {
    return !entry.is_folder && entry.modified_ms < older_than_ms_;
  }

  void AddCandidates(const std::string& folder) {
    for (const FileEntry& entry : table_.context.files.List(folder)) {
      if (IsOld(entry)) candidates_.push_back({JoinPath(folder, entry.name), entry.size});
    }
  }

  /// Bucket folders below `levels` of partition folders.
  void AddDataCandidates(const std::string& folder, size_t levels) {
    for (const FileEntry& entry : table_.context.files.List(folder)) {
      if (!entry.is_folder) continue;
      std::string path = JoinPath(folder, entry.name);
      if (levels == 0 && entry.name.starts_with("bucket-")) {
        AddCandidates(path);
      } else if (levels > 0 && entry.name.find('=') != std::string::npos) {
        AddDataCandidates(path, levels - 1);
      }
    }
  }

  /// Temporary files of atomic writes, beside snapshots and the like.
  void AddStrayMetadata(const std::string& root) {
    struct Place {
      const char* folder;
      const char* prefix;
    };
    for (const Place& place : {Place{"snapshot", "snapshot-"}, Place{"changelog", "changelog-"}}) {
      std::string folder = JoinPath(root, place.folder);
      for (const FileEntry& entry : table_.context.files.List(folder)) {
        bool known = entry.name.starts_with(place.prefix) || entry.name == "EARLIEST" ||
                     entry.name == "LATEST";
        if (!known && IsOld(entry)) strays_.push_back({JoinPath(folder, entry.name), entry.size});
      }
    }
    for (const char* place : {"schema", "tag", "consumer"}) {
      std::string folder = JoinPath(root, place);
      for (const FileEntry& entry : table_.context.files.List(folder)) {
        bool temporary = entry.name.starts_with(".") && entry.name.ends_with(".tmp");
        if (temporary && IsOld(entry))
          strays_.push_back({JoinPath(folder, entry.name), entry.size});
      }
    }
  }

  /// All that the snapshots, tags and changelogs below `root` name. Not only live files: a delta
  /// names what a streaming reader still has to read.
  void AddUsed(const std::string& root) {
    FileSystem& files = table_.context.files;
    SnapshotStore snapshots(files, root);
    for (int64_t id : snapshots.Ids()) AddNamed(snapshots.Find(id), true);
    for (const NamedTag& tag : TagStore(files, root).All()) AddNamed(tag.tag.snapshot, true);
    ChangelogStore changelogs(files, root);
    for (int64_t id : changelogs.Ids()) AddNamed(changelogs.Find(id), false);
  }

  void AddNamed(const std::optional<Snapshot>& snapshot, bool whole) {
    if (!snapshot) return;  // Expired since it was listed: so have its files.
    std::vector<ListFile> lists = {snapshot->BaseList(), snapshot->DeltaList()};
    if (snapshot->changelog_manifest_list) lists.push_back(snapshot->ChangelogList());
    for (const ListFile& list : lists) AddNamedByList(list);
    if (whole) used_.AddIndexes(*snapshot);
  }

  /// A long-lived changelog has lost some of its lists, a tag its changelog's.
  void AddNamedByList(const ListFile& list) {
    if (!lists_.insert(list.name).second) return;
    std::string path = table_.manifests.PathOf(list.name);
    if (!table_.context.files.Exists(path)) return;
    used_.AddPath(path);
    for (const ManifestFileMeta& manifest : table_.manifests.ReadList(list)) {
      std::string manifest_path = table_.manifests.PathOf(manifest.file_name);
      used_.AddPath(manifest_path);
      if (!lists_.insert(manifest.file_name).second) continue;
      if (!table_.context.files.Exists(manifest_path)) continue;
      for (const ManifestEntry& entry : table_.manifests.Read(manifest)) {
        used_.AddEntry(entry);
      }
    }
  }

  const TableState& table_;
  const int64_t older_than_ms_;
  FileReferences used_;
  std::set<std::string> lists_;
  std::vector<OrphanFile> candidates_;
  std::vector<OrphanFile> strays_;
};

}  // namespace

std::vector<OrphanFile> RemoveOrphanFiles(const TableState& table, int64_t older_than_ms,
                                          bool dry_run) {
  std::vector<OrphanFile> orphans = OrphanFinder(table, older_than_ms).Find();
  if (dry_run) return orphans;
  std::vector<std::string> paths;
  for (const OrphanFile& orphan : orphans) paths.push_back(orphan.path);
  DeleteQuietly(table, paths);
  return orphans;
}

}  // namespace millrace
