// Goal: the local and the memory file system keep the same contract, and CreateExclusive is all or
// nothing. Method: one script over both; fail system call n for n = 0, 1, ... and look again with a
// healthy one.
#include "io/file_system.h"

#include <doctest/doctest.h>
#include <stdlib.h>

#include <algorithm>
#include <atomic>
#include <thread>

#include "base/error.h"
#include "io/faulty_file_system.h"
#include "io/local_file_system.h"
#include "io/memory_file_system.h"

namespace millrace {

namespace {

/// A folder that is gone when the test ends.
struct TemporaryFolder {
  TemporaryFolder() {
    char name[] = "/tmp/millrace_io_XXXXXX";
    REQUIRE(::mkdtemp(name) != nullptr);
    path = name;
  }
  ~TemporaryFolder() { MakeLocalFileSystem()->DeleteFolder(path); }
  std::string path;
};

ErrorCode CodeOf(const std::function<void()>& action) {
  try {
    action();
  } catch (const Error& error) {
    return error.code();
  }
  FAIL("must throw");
  return ErrorCode::kInvalid;
}

std::vector<std::string> NamesIn(FileSystem& disk, const std::string& folder) {
  std::vector<std::string> names;
  for (const FileEntry& entry : disk.List(folder)) {
    names.push_back(entry.is_folder ? entry.name + "/"
                                    : fmt::format("{}:{}", entry.name, entry.size));
  }
  return names;
}

void CheckWholeFiles(FileSystem& disk, const std::string& root) {
  CHECK(disk.List(root + "/none").empty());
  CHECK(CodeOf([&] { disk.Read(root + "/none"); }) == ErrorCode::kNotFound);
  CHECK(disk.CreateExclusive(root + "/a/b/once", "first") == CreateOutcome::kCreated);
  CHECK(disk.CreateExclusive(root + "/a/b/once", "second") == CreateOutcome::kExists);
  CHECK(disk.Read(root + "/a/b/once") == "first");
  disk.Overwrite(root + "/a/b/hint", "1");
  disk.Overwrite(root + "/a/b/hint", "22");
  CHECK(disk.Read(root + "/a/b/hint") == "22");
  disk.OverwriteHint(root + "/a/b/hint", "333");
  CHECK(disk.Read(root + "/a/b/hint") == "333");
  disk.WriteUnsynced(root + "/a/b/later", "four");
  disk.WriteUnsynced(root + "/a/also/later", "five");
  disk.SyncFiles({root + "/a/b/later", root + "/a/also/later"});
  disk.SyncFiles({});
  CHECK(disk.Read(root + "/a/b/later") == "four");
  CHECK(disk.Delete(root + "/a/b/later"));
  CHECK(CodeOf([&] { disk.SyncFiles({root + "/a/also/later", root + "/a/b/later"}); }) ==
        ErrorCode::kNotFound);
  disk.DeleteFolder(root + "/a/also");
  CHECK(NamesIn(disk, root + "/a/b") == std::vector<std::string>{"hint:3", "once:5"});
  CHECK(NamesIn(disk, root + "/a") == std::vector<std::string>{"b/"});
  CHECK(disk.Exists(root + "/a"));
  CHECK(disk.Delete(root + "/a/b/hint"));
  CHECK_FALSE(disk.Delete(root + "/a/b/hint"));
  disk.Rename(root + "/a/b", root + "/c");
  CHECK(disk.Read(root + "/c/once") == "first");
  CHECK_FALSE(disk.Exists(root + "/a/b"));
  CHECK(CodeOf([&] { disk.Rename(root + "/none", root + "/d"); }) == ErrorCode::kNotFound);
  disk.MakeFolder(root + "/e/f");
  disk.MakeFolder(root + "/e/f");
  CHECK(NamesIn(disk, root + "/e") == std::vector<std::string>{"f/"});
  disk.DeleteFolder(root + "/c");
  disk.DeleteFolder(root + "/c");
  CHECK_FALSE(disk.Exists(root + "/c/once"));
}

void CheckWriters(FileSystem& disk, const std::string& root) {
  auto file = disk.OpenForWrite(root + "/w/data");
  std::string large(700'000, 'x');
  file->Append("head");
  file->Append(large);
  file->Append("tail");
  CHECK(file->Size() == 700'008);
  file->Close();
  CHECK(CodeOf([&] { file->Append("more"); }) == ErrorCode::kIo);
  CHECK(disk.Read(root + "/w/data") == "head" + large + "tail");

  auto reader = disk.OpenForRead(root + "/w/data");
  char bytes[4];
  reader->ReadAt(700'004, bytes, 4);
  CHECK(std::string_view(bytes, 4) == "tail");
  CHECK(CodeOf([&] { reader->ReadAt(700'005, bytes, 4); }) == ErrorCode::kCorrupt);

  auto log = disk.OpenForAppend(root + "/w/log");
  log->Append("one");
  CHECK(disk.Read(root + "/w/log") == "one");  // Readers see an append at once.
  log->Close();
  auto again = disk.OpenForAppend(root + "/w/log");
  CHECK(again->Size() == 3);
  again->Append("two");
  again->Close();
  CHECK(disk.Read(root + "/w/log") == "onetwo");
  disk.Truncate(root + "/w/log", 4);
  CHECK(disk.Read(root + "/w/log") == "onet");
}

}  // namespace

TEST_CASE("Local and memory disks keep the same contract") {
  TemporaryFolder folder;
  auto local = MakeLocalFileSystem();
  CheckWholeFiles(*local, folder.path);
  CheckWriters(*local, folder.path);
  CHECK(local->Exists("file://" + folder.path + "/w/log"));
  CHECK(CodeOf([&] { local->Read(folder.path); }) == ErrorCode::kIo);  // A folder is no file.
  MemoryFileSystem memory;
  CheckWholeFiles(memory, "/m");
  CheckWriters(memory, "/m");
}

TEST_CASE("CreateExclusive and Overwrite are all or nothing whichever system call fails") {
  auto healthy = MakeLocalFileSystem();
  for (bool exclusive : {true, false}) {
    for (int fail_at = 0;; fail_at++) {
      CAPTURE(fail_at);
      REQUIRE(fail_at < 100);
      TemporaryFolder folder;
      std::string path = folder.path + "/new/folder/file";
      int calls = 0;
      auto faulty = MakeLocalFileSystem(
          [&](std::string_view, const std::string&) { return calls++ == fail_at; });
      bool done = false;
      try {
        if (exclusive) {
          done = faulty->CreateExclusive(path, "whole") == CreateOutcome::kCreated;
        } else {
          faulty->Overwrite(path, "whole");
          done = true;
        }
      } catch (const Error& error) {
        CHECK(error.code() == ErrorCode::kIo);
        CHECK(error.text().find(folder.path) != std::string::npos);
      }
      bool exists = healthy->Exists(path);
      if (done) CHECK(exists);
      if (exists) CHECK(healthy->Read(path) == "whole");
      if (exists) CHECK(healthy->CreateExclusive(path, "other") == CreateOutcome::kExists);
      // A second try by a healthy writer always ends with the file there.
      if (!exists) CHECK(healthy->CreateExclusive(path, "whole") == CreateOutcome::kCreated);
      if (calls <= fail_at) {
        CHECK(done);
        CHECK(healthy->List(folder.path + "/new/folder").size() == 1);  // No temporary file stays.
        break;
      }
    }
  }
}

TEST_CASE("Files are synced together or the one that failed is told, whichever call fails") {
  auto healthy = MakeLocalFileSystem();
  for (int fail_at = 0;; fail_at++) {
    CAPTURE(fail_at);
    REQUIRE(fail_at < 100);
    TemporaryFolder folder;
    std::vector<std::string> paths;
    for (const char* name : {"/a/1", "/a/2", "/b/3"}) paths.push_back(folder.path + name);
    for (const std::string& path : paths) healthy->WriteUnsynced(path, "whole");
    std::vector<std::string> synced;
    int calls = 0;
    auto faulty = MakeLocalFileSystem([&](std::string_view call, const std::string& path) {
      if (calls++ == fail_at) return true;
      if (call == "fsync") synced.push_back(path);
      return false;
    });
    try {
      faulty->SyncFiles(paths);
      CHECK(calls <= fail_at);
      paths.push_back(folder.path + "/a");
      paths.push_back(folder.path + "/b");
      CHECK(synced == paths);
      break;
    } catch (const Error& error) {
      CHECK(calls == fail_at + 1);
      CHECK(error.code() == ErrorCode::kIo);
      CHECK(error.text().find(folder.path) != std::string::npos);
    }
  }
}

TEST_CASE("Of many writers of one name exactly one wins") {
  TemporaryFolder folder;
  auto disk = MakeLocalFileSystem();
  for (int round = 0; round < 20; round++) {
    std::string path = folder.path + "/snapshot-" + std::to_string(round);
    std::atomic<int> winners{0};
    std::vector<std::thread> writers;
    for (int i = 0; i < 4; i++) {
      writers.emplace_back([&, i] {
        if (disk->CreateExclusive(path, std::to_string(i)) == CreateOutcome::kCreated) winners++;
      });
    }
    for (std::thread& writer : writers) writer.join();
    CHECK(winners == 1);
  }
  CHECK(disk->List(folder.path).size() == 20);
}

TEST_CASE("The memory disk loses what was not synced") {
  MemoryFileSystem disk;
  auto closed = disk.OpenForWrite("/d/closed");
  closed->Append("abc");
  closed->Close();
  auto half = disk.OpenForAppend("/d/half");
  half->Append("kept");
  half->Sync();
  half->Append("lost");
  auto never = disk.OpenForWrite("/d/never");
  never->Append("x");
  disk.WriteUnsynced("/d/later", "x");
  disk.WriteUnsynced("/d/synced", "x");
  disk.OpenForWrite("/d/closed-later")->CloseUnsynced();
  disk.OpenForWrite("/d/closed-synced")->CloseUnsynced();
  disk.SyncFiles({"/d/synced", "/d/closed-synced"});
  disk.OverwriteHint("/d/hint", "x");
  disk.LoseUnsynced();
  CHECK(disk.Files() ==
        std::vector<std::string>{"/d/closed", "/d/closed-synced", "/d/half", "/d/synced"});
  CHECK(disk.Read("/d/half") == "kept");
}

TEST_CASE("The faulty disk fails the operation that is due, before, after or in the middle") {
  auto write = [](FileSystem& disk) {
    auto file = disk.OpenForWrite("/f");  // Operation 0.
    file->Append("12345678");             // 1
    file->Close();                        // 2
  };
  MemoryFileSystem disk;
  CHECK(CodeOf([&] {
          FaultyFileSystem faulty(disk, {.fail_at = 0});
          write(faulty);
        }) == ErrorCode::kIo);
  CHECK_FALSE(disk.Exists("/f"));
  FaultyFileSystem half(disk, {.fail_at = 1, .mode = FaultMode::kHalf});
  CHECK(CodeOf([&] { write(half); }) == ErrorCode::kIo);
  CHECK(half.failed());
  CHECK(disk.Read("/f") == "1234");
  FaultyFileSystem after(disk, {.fail_at = 2, .mode = FaultMode::kAfter});
  CHECK(CodeOf([&] { write(after); }) == ErrorCode::kIo);
  disk.LoseUnsynced();
  CHECK(disk.Read("/f") == "12345678");
  FaultyFileSystem none(disk, {.fail_at = 3});
  write(none);
  CHECK(none.operations() == 3);
  CHECK_FALSE(none.failed());
}

}  // namespace millrace
