// Goal: files get the compression that the table's options ask for and, where they ask for none,
// the one that their level is worth. Method: the options of writers, by level, of tables made with
// each way of asking.
#include "table/write_options.h"

#include "table/table_fixture.h"

namespace millrace {

namespace {

/// The codecs of level 0, of the levels up to the top, and of changelog files of level 0; then of
/// sequence numbers, where it is another.
std::vector<std::string> Codecs(bool keyed, Options options) {
  TestWorld world(1);
  options["bucket"] = "1";
  if (!keyed) options["bucket-key"] = "id";
  auto table =
      Table::Create(world.context(), "w/d.db/t", TestDefinition(keyed, false, std::move(options)));
  std::vector<std::string> codecs;
  for (int level = 0; level < table->state().parsed.level_count; level++) {
    codecs.push_back(DataWriteOptions(table->state(), "f", level).parquet.compression);
  }
  const auto changelog = ChangelogWriteOptions(table->state(), "f", 0).parquet;
  codecs.push_back(changelog.compression);
  if (!changelog.sequence_compression.empty()) codecs.push_back(changelog.sequence_compression);
  return codecs;
}

using Names = std::vector<std::string>;

}  // namespace

TEST_CASE("Files below the top level and changelogs are compressed lightly, unless told") {
  CHECK(Codecs(true, {{"num-levels", "3"}}) == Names{"lz4", "lz4", "zstd", "lz4", "lz4"});
  CHECK(Codecs(true, {{"num-levels", "3"}, {"file.compression", "ZSTD"}}) ==
        Names{"zstd", "zstd", "zstd", "zstd"});
  CHECK(Codecs(true, {{"num-levels", "3"}, {"file.compression.per.level", "1:none"}}) ==
        Names{"zstd", "none", "zstd", "zstd"});
  CHECK(Codecs(true, {{"num-levels", "2"}, {"changelog-file.compression", "gzip"}}) ==
        Names{"lz4", "zstd", "gzip", "lz4"});
  CHECK(Codecs(false, {{"num-levels", "2"}}) == Names{"zstd", "zstd", "zstd"});
}

}  // namespace millrace
