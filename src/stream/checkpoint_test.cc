// Goal: what a job leaves on disk is read back whole, or refused by name; a torn journal line is no
// step. Method: write, damage and read in a memory file system; fail every file operation of
// Publish.
#include "stream/checkpoint.h"

#include <doctest/doctest.h>

#include "base/error.h"
#include "io/faulty_file_system.h"
#include "io/memory_file_system.h"
#include "stream/memory_state_store.h"
#include "stream/state_format.h"
#include "stream/state_memory.h"

namespace millrace {

namespace {

Checkpoint Sample(int64_t id) {
  Checkpoint checkpoint;
  checkpoint.id = id;
  checkpoint.step = id * 10;
  checkpoint.cut = {"a", "{\"b\": 1}"};
  checkpoint.fingerprints = {"f"};
  checkpoint.prepared = {"files"};
  checkpoint.input_types = {{ChangelogType::kUpsert, ChangelogType::kFull}};
  checkpoint.run = "script/run";
  return checkpoint;
}

void CheckEqual(const Checkpoint& got, const Checkpoint& expected) {
  CHECK(got.id == expected.id);
  CHECK(got.step == expected.step);
  CHECK(got.cut == expected.cut);
  CHECK(got.fingerprints == expected.fingerprints);
  CHECK(got.prepared == expected.prepared);
  CHECK(got.state == expected.state);
  CHECK(got.input_types == expected.input_types);
  CHECK(got.run == expected.run);
  CHECK(got.finished == expected.finished);
}

// A state blob of an operator that keeps a number; in parts, of two shards.
std::string SmallState(bool in_parts) {
  StateMemory memory;
  StateArena arena(memory);
  MemoryStore store;
  StateWriter writer(store, arena, "key", "plan", false, in_parts);
  if (!in_parts) writer.Put(uint64_t(7));
  for (idx_t part : {1, 0}) {
    if (!in_parts) break;
    StateWriter of_shard(writer, arena, part);
    of_shard.Put(uint64_t(part));
    of_shard.Finish();
  }
  writer.Finish();
  return store.All()["key"].back();
}

}  // namespace

TEST_CASE("A checkpoint is read back, the newest wins, older ones are forgotten") {
  MemoryFileSystem files;
  JobFolder folder(files, "/jobs/j");
  CHECK_FALSE(folder.Latest());
  for (int64_t id = 1; id <= 3; id++) {
    auto state = folder.State(id, 0, {});
    state->Begin("operator", false);
    state->Append("operator", "by");
    state->Append("operator", "tes");
    state->Close("operator");
    Checkpoint checkpoint = Sample(id);
    checkpoint.state = {state->Pieces()};
    folder.Publish(checkpoint);
    CheckEqual(*folder.Latest(), checkpoint);
    char bytes[16];
    auto inputs = folder.State(id, 0, folder.Latest()->state[0])->Open("operator");
    REQUIRE(inputs.size() == 1);
    CHECK(std::string(bytes, inputs[0]->Read(bytes, 3)) == "byt");
    CHECK(std::string(bytes, inputs[0]->Read(bytes, 16)) == "es");
    CHECK(folder.State(id, 0, checkpoint.state[0])->Open("other").empty());
  }
  CHECK_FALSE(files.Exists("/jobs/j/checkpoint-2"));
}

TEST_CASE("Pieces of state stay as long as a checkpoint names them") {
  MemoryFileSystem files;
  JobFolder folder(files, "/jobs/j");
  StatePieces pieces;
  // Of "a" each checkpoint adds a piece, the fourth writes it anew; "b" is written once.
  for (int64_t id = 1; id <= 5; id++) {
    auto state = folder.State(id, 0, pieces);
    for (const char* key : {"a", "b"}) {
      if (*key == 'b' && id > 1) continue;
      state->Begin(key, id != 4);
      state->Append(key, std::string(key) + std::to_string(id));
      state->Close(key);
    }
    pieces = state->Pieces();
    Checkpoint checkpoint = Sample(id);
    checkpoint.state = {pieces};
    folder.Publish(checkpoint);
    std::string all;
    for (const char* key : {"a", "b"}) {
      for (auto& input : JobFolder(files, "/jobs/j").State(id, 0, pieces)->Open(key)) {
        char bytes[2];
        REQUIRE(input->Read(bytes, 2) == 2);
        all += std::string(bytes, 2) + " ";
      }
    }
    constexpr const char* kExpected[] = {"a1 b1 ", "a1 a2 b1 ", "a1 a2 a3 b1 ", "a4 b1 ",
                                         "a4 a5 b1 "};
    CHECK(all == kExpected[id - 1]);
    CheckEqual(*JobFolder(files, "/jobs/j").Latest(), checkpoint);
  }
  CHECK(files.List("/jobs/j/checkpoint-1").size() == 1);  // b alone, and no metadata.
  CHECK_FALSE(files.Exists("/jobs/j/checkpoint-2"));
  CHECK_FALSE(files.Exists("/jobs/j/checkpoint-3"));
}

TEST_CASE(
    "The newest checkpoints stay restorable, with the pieces that they name, and their damage is "
    "found") {
  MemoryFileSystem files;
  JobFolder folder(files, "/jobs/j");
  StatePieces pieces;
  auto publish = [&](int64_t id, int64_t retained) {
    auto state = folder.State(id, 0, pieces);
    state->Begin("a", id % 3 != 0);  // Every third one is whole.
    state->Append("a", SmallState(id % 2 == 1));
    state->Close("a");
    pieces = state->Pieces();
    Checkpoint checkpoint = Sample(id);
    checkpoint.state = {pieces};
    folder.Publish(checkpoint, retained);
    folder.NoteCommitted(id);
  };
  for (int64_t id = 1; id <= 8; id++) publish(id, 3);
  CHECK(folder.Retained() == std::vector<int64_t>{8, 7, 6});
  for (int64_t id : folder.Retained()) {
    CAPTURE(id);
    Checkpoint checkpoint = folder.Read(id);
    CHECK(checkpoint.step == id * 10);
    CHECK(folder.IsCommitted(id));
    CHECK(folder.FindDamage(checkpoint).empty());
    CHECK(folder.State(id, 0, checkpoint.state[0])->Open("a").size() == size_t(id - 5));
  }
  CHECK_FALSE(files.Exists("/jobs/j/checkpoint-5"));
  // A flipped bit anywhere, a byte too few or too many, a file that is gone.
  Checkpoint newest = folder.Read(8);
  std::string path = "/jobs/j/checkpoint-7/pipeline-0-a", whole = files.Read(path);
  for (size_t at = 0; at < whole.size(); at++) {
    if (at == 4 || at == 5) continue;  // The version: loading refuses it.
    CAPTURE(at);
    std::string damaged = whole;
    damaged[at] ^= 4;
    files.Overwrite(path, damaged);
    CHECK(folder.FindDamage(newest).find(path) != std::string::npos);
    files.Overwrite(path, whole.substr(0, at));
    CHECK(folder.FindDamage(newest).find(path) != std::string::npos);
  }
  files.Overwrite(path, whole + "x");
  CHECK(folder.FindDamage(newest).find(path) != std::string::npos);
  CHECK(folder.FindDamage(folder.Read(6)).empty());
  files.Delete(path);
  CHECK(folder.FindDamage(newest) == "'" + path + "' is missing");
  // One whose metadata cannot be read counts as none; fewer are kept from the next on.
  files.Overwrite("/jobs/j/checkpoint-7/metadata.json", "{");
  publish(9, 3);
  CHECK_FALSE(files.Exists("/jobs/j/checkpoint-7/metadata.json"));
  publish(10, 1);
  CHECK(folder.Retained() == std::vector<int64_t>{10});
}

TEST_CASE("Parts of a state are read in any order, each whole") {
  StateMemory memory;
  StateArena arena(memory);
  MemoryStore store;
  constexpr idx_t kParts = 4;
  StateWriter writer(store, arena, "key", "plan", false, true);
  std::vector<std::unique_ptr<StateWriter>> parts;
  for (idx_t part = 0; part < kParts; part++) {
    parts.push_back(std::make_unique<StateWriter>(writer, arena, part));
  }
  std::string texts[kParts];  // Frames of all parts come in between each other.
  for (idx_t round = 0; round < 9; round++) {
    for (idx_t part = 0; part < kParts; part++) {
      std::string text(300'000 + 17 * round * part, static_cast<char>('a' + part + round));
      if (part < 3) parts[part]->PutString(text);  // The last one is empty.
      if (part < 3) texts[part] += text;
    }
    RowLayout layout({LogicalType::BIGINT});
    for (idx_t part = 0; part < 3; part++) {  // Lets full frames go.
      parts[part]->BeginRecords({RecordPart::Columns(layout)});
      std::vector<uint8_t> row(layout.Width());
      RowLayout::MarkLive(row.data());
      parts[part]->Add(row.data());
      parts[part]->EndRecords();
    }
  }
  for (auto& part : parts) part->Finish();
  writer.Finish();
  for (idx_t part : {2, 0, 3, 1}) {
    CAPTURE(part);
    StateReader reader(std::move(store.Open("key")[0]), arena, "plan", "it");
    CHECK(reader.InParts());
    reader.ChoosePart(part);
    std::string found;
    RowLayout layout({LogicalType::BIGINT});
    for (idx_t round = 0; round < 9 && part < 3; round++) {
      found += reader.GetString();
      idx_t rows = 0;
      reader.GetRecords({RecordPart::Columns(layout)},
                        [&](RecordBlock& block) { rows += block.count; });
      CHECK(rows == 1);
    }
    CHECK(found == texts[part]);
    reader.Finish();
  }
}

TEST_CASE("What a job is stays as it was when its folder was made") {
  MemoryFileSystem files;
  JobFolder folder(files, "/jobs/j");
  CHECK_FALSE(folder.Record());
  JobRecord record{
      "user", "script", "INSERT INTO t SELECT 'x'", true, false, {{"/w/t", "1", true}, {}}, "lake",
      "d",    8,        {{"lake", "d", "v"}}};
  folder.WriteRecord(record);
  CHECK(JobFolder(files, "/jobs/j").Record() == record);
  CHECK_THROWS_AS(folder.WriteRecord(record), Error);
  for (const char* text : {"", "{}", "[1]", "{\"version\": 1}"}) {
    files.Overwrite("/jobs/j/job.json", text);
    CHECK_THROWS_WITH_AS(folder.Record(), doctest::Contains("/jobs/j/job.json"), Error);
  }
}

TEST_CASE("The journal keeps whole steps and cuts a torn one") {
  MemoryFileSystem files;
  {
    JobFolder folder(files, "/jobs/j");
    folder.Publish(Sample(1));
    folder.AppendJournal({11, {"p", "q"}});
    folder.AppendJournal({12, {"r", "s"}});
  }
  files.OpenForAppend("/jobs/j/journal-1")->Append("{\"step\": 13, \"cu");
  JobFolder again(files, "/jobs/j");
  auto steps = again.Journal(Sample(1));
  REQUIRE(steps.size() == 2);
  CHECK(steps[1].step == 12);
  CHECK(steps[1].cut == Cut{"r", "s"});
  again.AppendJournal({13, {"t", "u"}, 1 << 20});
  steps = again.Journal(Sample(1));
  REQUIRE(steps.size() == 3);
  CHECK(steps[2].cut == Cut{"t", "u"});
  CHECK(steps[1].wanted_rows == 0);
  CHECK(steps[2].wanted_rows == 1 << 20);
}

TEST_CASE("Steps since a checkpoint began are found whether it was published or not") {
  MemoryFileSystem files;
  auto steps_after = [&](std::optional<Checkpoint> checkpoint) {
    std::vector<int64_t> steps;
    for (auto& step : JobFolder(files, "/jobs/j").Journal(checkpoint)) steps.push_back(step.step);
    return steps;
  };
  JobFolder folder(files, "/jobs/j");
  folder.AppendJournal({9, {"a"}});
  CHECK(steps_after(std::nullopt) == std::vector<int64_t>{9});
  folder.StartJournal(1);  // Its last step is 10.
  folder.AppendJournal({10, {"b"}});
  folder.AppendJournal({11, {"c"}});
  CHECK(steps_after(std::nullopt) == std::vector<int64_t>{9, 10, 11});
  folder.Publish(Sample(1));
  CHECK_FALSE(files.Exists("/jobs/j/journal-0"));
  CHECK(steps_after(Sample(1)) == std::vector<int64_t>{11});
  folder.StartJournal(2);
  folder.AppendJournal({12, {"d"}});
  // Killed, and gone on with: checkpoint 2 begins once more, later, and its journal goes on.
  JobFolder again(files, "/jobs/j");
  again.AppendJournal({13, {"e"}});
  CHECK(steps_after(Sample(1)) == std::vector<int64_t>{11, 12, 13});
  again.StartJournal(2);
  again.AppendJournal({21, {"f"}});
  again.Publish(Sample(2));  // Its last step is 20.
  CHECK_FALSE(files.Exists("/jobs/j/journal-1"));
  CHECK(steps_after(Sample(2)) == std::vector<int64_t>{21});
}

TEST_CASE("What a checkpoint prepared counts as committed from its note on, and no other's") {
  MemoryFileSystem files;
  JobFolder folder(files, "/jobs/j");
  folder.Publish(Sample(1));
  CHECK_FALSE(folder.IsCommitted(1));
  folder.NoteCommitted(1);
  CHECK(JobFolder(files, "/jobs/j").IsCommitted(1));
  folder.Publish(Sample(2));
  CHECK_FALSE(folder.IsCommitted(2));
}

TEST_CASE("A damaged checkpoint is refused by name") {
  MemoryFileSystem files;
  JobFolder folder(files, "/jobs/j");
  folder.Publish(Sample(1));
  std::string path = "/jobs/j/checkpoint-1/metadata.json";
  std::string whole = files.Read(path);
  for (size_t size : {size_t(0), size_t(1), whole.size() / 2, whole.size() - 2}) {
    CAPTURE(size);
    files.Overwrite(path, whole.substr(0, size));
    try {
      folder.Latest();
      FAIL("must throw");
    } catch (const Error& error) {
      CHECK(error.code() == ErrorCode::kCorrupt);
      CHECK(error.text().find(path) != std::string::npos);
    }
  }
}

TEST_CASE("No byte of a checkpoint or a journal changes unseen") {
  MemoryFileSystem files;
  JobFolder folder(files, "/jobs/j");
  folder.Publish(Sample(1));
  folder.AppendJournal({11, {"p", "q"}});
  folder.AppendJournal({12, {"r", "s"}});
  for (const char* path : {"/jobs/j/checkpoint-1/metadata.json", "/jobs/j/journal-1"}) {
    std::string whole = files.Read(path);
    for (size_t at = 0; at + 1 < whole.size(); at++) {  // A last line without its end is torn.
      CAPTURE(at);
      std::string damaged = whole;
      damaged[at] ^= 1;
      files.Overwrite(path, damaged);
      try {
        auto latest = folder.Latest();
        auto steps = folder.Journal(Sample(1));
        CheckEqual(latest.value(), Sample(1));  // A blank between words.
        CHECK(steps.size() == 2);
      } catch (const Error& error) {
        CHECK(error.code() == ErrorCode::kCorrupt);
        CHECK(error.text().find(path) != std::string::npos);
      }
    }
    files.Overwrite(path, whole);
  }
}

TEST_CASE("Publish is all or nothing, whichever file operation fails") {
  for (int fail_at = 0;; fail_at++) {
    CAPTURE(fail_at);
    MemoryFileSystem disk;
    JobFolder(disk, "/jobs/j").Publish(Sample(1));
    FaultyFileSystem faulty(disk, {.fail_at = fail_at});
    bool done = false;
    try {
      JobFolder(faulty, "/jobs/j").Publish(Sample(2));
      done = true;
    } catch (const Error& error) {
      CHECK(error.code() == ErrorCode::kIo);
    }
    auto latest = JobFolder(disk, "/jobs/j").Latest();
    REQUIRE(latest);
    CheckEqual(*latest, Sample(latest->id));
    if (done) {
      CHECK(latest->id == 2);
      return;
    }
  }
}

}  // namespace millrace
