#include "table/file_sync.h"

#include <set>

namespace millrace {

std::vector<std::string> AddedFiles(const TableState& table, const Committable& committable) {
  std::vector<std::string> paths;
  for (const BucketChange& bucket : committable.buckets) {
    std::string folder = table.BucketFolder(bucket.partition, bucket.bucket);
    std::set<std::string> old;  // A compaction may only lift a file to another level.
    for (const DataFileMeta& file : bucket.compact_before) old.insert(file.file_name);
    for (const auto* files : {&bucket.new_files, &bucket.changelog_files, &bucket.compact_after,
                              &bucket.compact_changelog_files}) {
      for (const DataFileMeta& file : *files) {
        if (files == &bucket.compact_after && old.contains(file.file_name)) continue;
        for (std::string& path : DataFilePaths(folder, file)) paths.push_back(std::move(path));
      }
    }
  }
  return paths;
}

void StartSync(std::shared_ptr<const TableState> table, Committable& committable) {
  std::vector<std::string> paths = AddedFiles(*table, committable);
  committable.sync = std::make_shared<FileSync>(std::move(table), std::move(paths));
}

FileSync::FileSync(std::shared_ptr<const TableState> table, std::vector<std::string> paths) {
  if (paths.empty()) return;
  auto body = [this, table = std::move(table), paths = std::move(paths)] {
    try {
      table->context.files.SyncFiles(paths);
    } catch (...) {
      error_ = std::current_exception();
    }
  };
  task_ = MakeThreadExecutor()->Start("sync", std::move(body));
}

FileSync::~FileSync() = default;

void FileSync::Wait() {
  std::lock_guard lock(mutex_);
  if (task_) task_->Join();
  task_.reset();
  if (error_) std::rethrow_exception(error_);
}

}  // namespace millrace
