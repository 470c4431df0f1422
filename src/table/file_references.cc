#include "table/file_references.h"

#include <algorithm>

#include "base/error.h"
#include "table/index_store.h"

namespace millrace {

void FileReferences::AddList(const ListFile& list) {
  paths_.insert(table_.manifests.PathOf(list.name));
  if (!lists_.insert(list.name).second) return;
  for (const ManifestFileMeta& manifest : table_.manifests.ReadList(list)) {
    paths_.insert(table_.manifests.PathOf(manifest.file_name));
  }
}

void FileReferences::AddLists(const Snapshot& snapshot) {
  AddList(snapshot.BaseList());
  AddList(snapshot.DeltaList());
}

void FileReferences::AddChangelogLists(const Snapshot& snapshot) {
  if (snapshot.changelog_manifest_list) AddList(snapshot.ChangelogList());
}

void FileReferences::AddIndexes(const Snapshot& snapshot) {
  if (snapshot.statistics) {
    paths_.insert(JoinPath(table_.folder, "statistics/" + *snapshot.statistics));
  }
  if (!snapshot.index_manifest) return;
  paths_.insert(table_.manifests.PathOf(*snapshot.index_manifest));
  if (!lists_.insert(*snapshot.index_manifest).second) return;
  for (const IndexManifestEntry& entry : ReadIndexEntries(table_, snapshot)) {
    paths_.insert(IndexFilePath(table_, entry));
  }
}

void FileReferences::AddEntry(const ManifestEntry& entry) {
  for (std::string& path : PathsOfEntry(table_, entry)) paths_.insert(std::move(path));
}

void FileReferences::AddLiveFiles(const Snapshot& snapshot) {
  for (const ManifestEntry& entry : table_.manifests.LiveEntries(snapshot)) AddEntry(entry);
}

void FileReferences::AddChangelogFiles(const Snapshot& snapshot) {
  if (!snapshot.changelog_manifest_list) return;
  for (const ManifestEntry& entry : table_.manifests.EntriesOf(snapshot.ChangelogList())) {
    AddEntry(entry);
  }
}

void FileReferences::AddBranches() {
  for (const std::string& folder : BranchFolders(table_)) {
    SnapshotStore snapshots(table_.context.files, folder);
    for (int64_t id : snapshots.Ids()) {
      if (auto snapshot = snapshots.Find(id)) {
        AddState(*snapshot);
        AddChangelogLists(*snapshot);
        AddChangelogFiles(*snapshot);
      }
    }
    for (const NamedTag& tag : TagStore(table_.context.files, folder).All()) {
      AddState(tag.tag.snapshot);
    }
  }
}

std::vector<std::string> PathsOfEntry(const TableState& table, const ManifestEntry& entry) {
  return DataFilePaths(table.BucketFolder(entry.partition, entry.bucket), entry.file);
}

std::vector<std::string> BranchFolders(const TableState& table) {
  std::string folder = JoinPath(table.folder, "branch");
  std::vector<std::string> branches;
  for (const FileEntry& entry : table.context.files.List(folder)) {
    if (entry.is_folder && entry.name.starts_with("branch-")) {
      branches.push_back(JoinPath(folder, entry.name));
    }
  }
  return branches;
}

int64_t DeleteQuietly(const TableState& table, const std::vector<std::string>& paths) {
  int64_t deleted = 0;
  for (const std::string& path : paths) {
    try {
      deleted += table.context.files.Delete(path) ? 1 : 0;
    } catch (const Error&) {
      // An orphan: nothing names it any more.
    }
  }
  return deleted;
}

}  // namespace millrace
