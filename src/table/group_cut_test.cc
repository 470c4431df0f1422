// Goal: tables read together are never seen with half of a commit group, in batch and step by step.
// Method: a job commits to two tables, group by group; between any two of its actions a reader
// looks at one table and, after any number of further actions, at the other. Then three jobs and
// somebody else over three tables in random order, against a note of who wrote what.
#include "table/group_cut.h"

#include "table/group_steps.h"
#include "table/table_fixture.h"

namespace millrace {

namespace {

constexpr int kGroups = 4;

/// Tables a and b of one warehouse. Actions in order: commit a, commit b, publish the group; again.
struct Writers {
  TestWorld world;
  std::shared_ptr<const Table> a = Make("a"), b = Make("b");
  std::map<int64_t, int> group_of_a, group_of_b;  // Snapshot -> group.

  std::shared_ptr<const Table> Make(const std::string& name) {
    return Table::Create(world.context(), "/w/d.db/" + name, TestDefinition(false, false));
  }
  int64_t Commit(const Table& table, int group, const std::string& user = "job") {
    auto writer = table.NewWriter(user);
    WriteRows(*writer, {{RowKind::kInsert, group, "p", "v"}});
    Committable committable = writer->PrepareCommit();
    if (user == "job") committable.properties[kGroupProperty] = fmt::format("job/{}", group);
    return *table.Commit(committable, user, group);
  }
  void Act(int action) {
    int group = action / 3 + 1;
    if (action % 3 == 0) group_of_a[Commit(*a, group)] = group;
    if (action % 3 == 1) group_of_b[Commit(*b, group)] = group;
    if (action % 3 != 2) return;
    CommitGroup done{"job", group, {}};
    done.snapshots[a->folder()] = group_of_a.rbegin()->first;
    done.snapshots[b->folder()] = group_of_b.rbegin()->first;
    PublishCommitGroup(world.disk, done);
  }
};

}  // namespace

TEST_CASE("Two tables are cut at the same group, whatever happens between the looks") {
  for (bool a_first : {true, false}) {
    for (int first_look = 0; first_look <= 3 * kGroups; first_look++) {
      for (int between = 0; between <= 3 * kGroups - first_look; between++) {
        CAPTURE(a_first);
        CAPTURE(first_look);
        CAPTURE(between);
        Writers writers;
        GroupCut cut(writers.world.disk, writers.world.clock);
        for (int i = 0; i < first_look; i++) writers.Act(i);
        int64_t first = cut.Newest(a_first ? writers.a : writers.b);
        for (int i = 0; i < between; i++) writers.Act(first_look + i);
        int64_t second = cut.Newest(a_first ? writers.b : writers.a);
        int group_a = writers.group_of_a[a_first ? first : second];
        int group_b = writers.group_of_b[a_first ? second : first];
        CHECK(group_a == group_b);
        CHECK(group_a == first_look / 3);
        CHECK(cut.Newest(a_first ? writers.a : writers.b) == first);  // The first answer stands.
      }
    }
  }
}

TEST_CASE("A commit of somebody else does not make half of a group visible") {
  Writers writers;
  for (int action = 0; action < 4; action++) writers.Act(action);  // Group 2: a only.
  writers.Commit(*writers.a, 1, "other");
  GroupCut cut(writers.world.disk, writers.world.clock);
  CHECK(writers.group_of_a[cut.Newest(writers.a)] == 1);
  CHECK(writers.group_of_b[cut.Newest(writers.b)] == 1);
}

TEST_CASE("A table that was dropped and made anew does not hold others back") {
  Writers writers;
  for (int action = 0; action < 9; action++) writers.Act(action);
  writers.world.disk.DeleteFolder("/w/d.db/a");
  writers.a = writers.Make("a");
  GroupCut cut(writers.world.disk, writers.world.clock);
  CHECK(cut.Newest(writers.a) == 0);
  CHECK(writers.group_of_b[cut.Newest(writers.b)] == 3);
}

namespace {

/// Jobs whose actions interleave, and what each snapshot of each table has of them.
struct ManyWriters {
  struct Job {
    std::string name;
    std::vector<size_t> tables;
    int64_t group = 1;
    size_t next = 0;  // Which of its tables it commits to; all: the group is published.
    std::map<std::string, int64_t> done;
  };
  using Clock = std::map<std::string, int64_t>;

  TestWorld world;
  std::vector<std::shared_ptr<const Table>> tables;
  std::vector<Job> jobs = {
      {"p", {0, 1}, 1, 0, {}}, {"q", {1, 0}, 1, 0, {}}, {"r", {2, 1}, 1, 0, {}}};
  std::vector<std::map<int64_t, Clock>> clocks;  // Per table: by snapshot.
  int64_t batches = 0;

  explicit ManyWriters(uint64_t seed, Options options = {}) : world(seed) {
    for (const char* name : {"a", "b", "c"}) {
      tables.push_back(Table::Create(world.context(), std::string("/w/d.db/") + name,
                                     TestDefinition(false, false, options)));
    }
    clocks.resize(tables.size());
    for (const Job& job : jobs) {
      GroupMembers members;
      for (size_t t : job.tables) members[tables[t]->folder()] = false;
      PublishGroupMembers(world.disk, job.name, members);
    }
  }
  void Commit(size_t t, const std::string& user, int64_t identifier, const std::string& group) {
    auto writer = tables[t]->NewWriter(user);
    WriteRows(*writer, {{RowKind::kInsert, identifier, "p", "v"}});
    Committable committable = writer->PrepareCommit();
    if (!group.empty()) committable.properties[kGroupProperty] = group;
    int64_t id = *tables[t]->Commit(committable, user, identifier);
    Clock clock = clocks[t].empty() ? Clock() : clocks[t].rbegin()->second;
    if (!group.empty()) clock[user] = identifier;
    clocks[t][id] = clock;
  }
  void Act(Job& job) {
    if (job.next == job.tables.size()) {
      CommitGroup group{job.name, job.group, job.done};
      PublishCommitGroup(world.disk, group);
      job.group++;
      job.next = 0;
      return;
    }
    size_t t = job.tables[job.next++];
    Commit(t, job.name, job.group, fmt::format("{}/{}", job.name, job.group));
    job.done[tables[t]->folder()] = tables[t]->LatestSnapshot()->id;
  }
  /// Another program, which knows nothing of groups.
  void ActForeign(size_t t) {
    auto latest = tables[t]->LatestSnapshot();
    if (!latest) return;
    Snapshot next = *latest;
    next.id++;
    next.commit_user = "flink";
    next.properties.clear();
    REQUIRE(SnapshotStore(world.disk, tables[t]->folder()).Publish(next) ==
            PublishOutcome::kPublished);
    clocks[t][next.id] = clocks[t][latest->id];
  }
  void ActAny(std::mt19937_64& random) {
    size_t who = random() % 8;
    if (who < 6) Act(jobs[who % 3]);
    if (who == 6) Commit(random() % 3, "batch", ++batches, "");
    if (who == 7) ActForeign(random() % 3);
  }
  void FinishAll() {
    for (Job& job : jobs) {
      while (job.next != 0) Act(job);
    }
  }
  /// Every job is in all of its tables, or in none of them, with the same groups, complete ones.
  void CheckCut(const std::vector<int64_t>& cut) {
    for (const Job& job : jobs) {
      std::set<int64_t> seen;
      for (size_t t : job.tables) {
        Clock clock = cut[t] == 0 ? Clock() : clocks[t].at(cut[t]);
        seen.insert(clock.contains(job.name) ? clock[job.name] : 0);
      }
      CHECK(seen.size() == 1);
      CHECK(*seen.begin() < job.group);
    }
  }
};

}  // namespace

TEST_CASE("Several jobs over the same tables are cut at whole groups of each") {
  uint64_t seed = std::random_device{}();
  CAPTURE(seed);
  std::mt19937_64 random(seed);
  for (int run = 0; run < 60; run++) {
    ManyWriters writers(random());
    for (size_t i = random() % 40; i > 0; i--) writers.ActAny(random);
    bool quiet = run % 4 == 0;
    if (quiet) writers.FinishAll();
    GroupCut cut(writers.world.disk, writers.world.clock);
    std::vector<size_t> order = {0, 1, 2};
    std::shuffle(order.begin(), order.end(), random);
    std::vector<int64_t> seen(3);
    for (size_t t : order) {
      seen[t] = cut.Newest(writers.tables[t]);
      for (size_t i = quiet ? 0 : random() % 12; i > 0; i--) writers.ActAny(random);
    }
    writers.CheckCut(seen);
    for (size_t t : order) {
      CHECK(cut.Newest(writers.tables[t]) == seen[t]);
      auto latest = writers.tables[t]->LatestSnapshot();
      if (quiet) CHECK(seen[t] == (latest ? latest->id : 0));
    }
  }
}

TEST_CASE("A reader that follows several tables stops at whole groups of each job, and gets on") {
  uint64_t seed = std::random_device{}();
  CAPTURE(seed);
  std::mt19937_64 random(seed);
  for (int run = 0; run < 25; run++) {
    ManyWriters writers(random());
    std::vector<FollowedTable> tables(3);
    std::vector<FollowedTable*> all;
    for (size_t t = 0; t < 3; t++) {
      tables[t].table = writers.tables[t];
      all.push_back(&tables[t]);
    }
    auto step = [&](idx_t max_rows) {
      std::vector<int64_t> targets = ChooseStep(writers.world.disk, all, max_rows);
      writers.CheckCut(targets);
      bool moved = false;
      for (size_t t = 0; t < 3; t++) {
        moved = moved || targets[t] != tables[t].position;
        tables[t].MoveTo(targets[t]);
      }
      return moved;
    };
    for (int i = 0; i < 60; i++) {
      writers.ActAny(random);
      if (random() % 3 == 0) step(1 + random() % 4);
    }
    writers.FinishAll();
    while (step(1 + random() % 4)) {
    }
    for (FollowedTable& table : tables) {
      auto latest = table.table->LatestSnapshot();
      CHECK(table.position == (latest ? latest->id : 0));
    }
  }
}

TEST_CASE("Half a group that others have buried deep is still not read") {
  ManyWriters writers(1);
  writers.Act(writers.jobs[0]);
  writers.Act(writers.jobs[0]);
  writers.Act(writers.jobs[0]);  // Group 1 of p is whole.
  writers.Act(writers.jobs[0]);  // Group 2 is in a only.
  for (int64_t i = 0; i < 30; i++) {
    writers.Commit(0, "batch", i, "");
    if (i % 5 == 0) writers.ActForeign(0);
  }
  GroupCut cut(writers.world.disk, writers.world.clock);
  CHECK(cut.Newest(writers.tables[0]) == 1);
  CHECK(cut.Newest(writers.tables[1]) == 1);
  writers.FinishAll();
  GroupCut later(writers.world.disk, writers.world.clock);
  CHECK(later.Newest(writers.tables[0]) == writers.tables[0]->LatestSnapshot()->id);
}

TEST_CASE("When what was before half a group has expired, its job is named") {
  ManyWriters writers(1, {{"snapshot.num-retained.min", "1"}, {"snapshot.num-retained.max", "2"}});
  writers.Act(writers.jobs[0]);  // Group 1 of p is in a only, and nothing whole holds a.
  for (int64_t i = 0; i < 5; i++) writers.Commit(0, "batch", i, "");
  REQUIRE(!writers.tables[0]->FindSnapshot(1));
  GroupCut cut(writers.world.disk, writers.world.clock);
  CHECK_THROWS_WITH_AS(cut.Newest(writers.tables[0]), doctest::Contains("job 'p'"), Error);
  CHECK(cut.Newest(writers.tables[1]) == 0);
}

TEST_CASE("A follower goes on over changelogs that have outlived their snapshots") {
  ManyWriters writers(1, {{"snapshot.num-retained.min", "1"},
                          {"snapshot.num-retained.max", "2"},
                          {"changelog.num-retained.min", "10"},
                          {"changelog.num-retained.max", "100"}});
  for (int64_t i = 0; i < 6; i++) writers.Commit(0, "batch", i, "");
  REQUIRE(!writers.tables[0]->FindSnapshot(3));
  FollowedTable followed;
  followed.table = writers.tables[0];
  followed.position = 1;
  CHECK(ChooseStep(writers.world.disk, {&followed}, 100) == std::vector<int64_t>{6});
  CHECK(ChooseStep(writers.world.disk, {&followed}, 2) == std::vector<int64_t>{3});
}

TEST_CASE("A follower is told when its table is another one, or has expired under it") {
  ManyWriters writers(1, {{"snapshot.num-retained.min", "1"}, {"snapshot.num-retained.max", "2"}});
  FollowedTable followed;
  followed.table = writers.tables[0];
  for (int64_t i = 0; i < 5; i++) writers.Commit(0, "batch", i, "");
  followed.position = 1;
  CHECK_THROWS_WITH_AS(followed.LookAhead(), doctest::Contains("expired"), Error);
  followed.position = 5;
  CHECK_NOTHROW(followed.LookAhead());
  followed.position = 6;
  followed.is_future = true;  // Where it was told to begin: it waits.
  CHECK_NOTHROW(followed.LookAhead());
  followed.is_future = false;
  CHECK_THROWS_WITH_AS(followed.LookAhead(), doctest::Contains("made anew"), Error);
}

}  // namespace millrace
