// Goal: tables read together are never seen with half of a commit group.
// Method: a job commits to two tables, group by group; between any two of its actions a reader
// looks at one table and, after any number of further actions, at the other.
#include "table/group_cut.h"

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
        GroupCut cut(writers.world.disk);
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
  GroupCut cut(writers.world.disk);
  CHECK(writers.group_of_a[cut.Newest(writers.a)] == 1);
  CHECK(writers.group_of_b[cut.Newest(writers.b)] == 1);
}

TEST_CASE("A table that was dropped and made anew does not hold others back") {
  Writers writers;
  for (int action = 0; action < 9; action++) writers.Act(action);
  writers.world.disk.DeleteFolder("/w/d.db/a");
  writers.a = writers.Make("a");
  GroupCut cut(writers.world.disk);
  CHECK(cut.Newest(writers.a) == 0);
  CHECK(writers.group_of_b[cut.Newest(writers.b)] == 3);
}

}  // namespace millrace
