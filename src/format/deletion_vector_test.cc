// Goal: deletion vectors are Paimon's byte for byte, hold what was put in, and damage is told by
// name. Method: files that Paimon wrote, random positions against std::set, cuts at every length
// and flipped bits.
#include "format/deletion_vector.h"

#include <doctest/doctest.h>

#include <random>
#include <set>

#include "base/error.h"
#include "format/roaring_check.h"
#include "io/memory_file_system.h"

namespace millrace {

namespace {

std::string FromHex(std::string_view text) {
  std::string bytes;
  std::string digits;
  for (char c : text) {
    if (c == ' ') continue;
    digits += c;
    if (digits.size() < 2) continue;
    bytes += static_cast<char>(std::stoi(digits, nullptr, 16));
    digits.clear();
  }
  return bytes;
}

// Both by Paimon 1.4.2 (BitmapDeletionVector, Bitmap64DeletionVector), rows 3 and 5.
const char* const kPaimonFile32 =
    "01 00000018 5e43f2d0 3a300000 01000000 0000 0100 10000000 0300 0500 267e36de";
const char* const kPaimonFile64 =
    "01 00000024 d1d33964 0100000000000000 00000000 3a300000 01000000 0000 0100 10000000 0300 0500 "
    "9467f8a4";

RowSet Of(const std::set<int64_t>& positions) {
  RowSet vector;
  for (int64_t position : positions) vector.Add(position);
  return vector;
}

/// Sparse, dense, in runs, across containers.
std::set<int64_t> RandomPositions(std::mt19937_64& random) {
  std::set<int64_t> positions;
  int64_t domain = random() % 2 ? 300'000 : 70'000;
  for (uint64_t n = random() % 3; n > 0; n--) {  // Runs.
    int64_t first = static_cast<int64_t>(random() % domain);
    for (int64_t i = 0; i < static_cast<int64_t>(random() % 9000); i++) positions.insert(first + i);
  }
  uint64_t singles = random() % 2 ? random() % 30 : random() % 20'000;
  for (; singles > 0; singles--) positions.insert(static_cast<int64_t>(random() % domain));
  return positions;
}

}  // namespace

TEST_CASE("Paimon's deletion vectors are read, and ours have the same bytes") {
  for (bool bitmap64 : {false, true}) {
    CAPTURE(bitmap64);
    std::string file = FromHex(bitmap64 ? kPaimonFile64 : kPaimonFile32);
    std::vector<DeletionVectorRange> ranges = {{"data-1", 1, bitmap64 ? 44 : 24, 2}};
    DeletionVectors vectors = DecodeDeletionVectors(file, ranges, "f");
    CHECK(vectors.at("data-1").Positions() == std::vector<int64_t>{3, 5});
    std::vector<DeletionVectorRange> ours;
    CHECK(EncodeDeletionVectors(vectors, bitmap64, ours) == file);
    CHECK(ours == ranges);
  }
}

TEST_CASE("a vector holds what was put in, in both versions") {
  uint64_t seed = std::random_device{}();
  CAPTURE(seed);
  std::mt19937_64 random(seed);
  for (int run = 0; run < 40; run++) {
    CAPTURE(run);
    std::set<int64_t> positions = RandomPositions(random), more = RandomPositions(random);
    RowSet vector = Of(positions);
    vector.AddAll(Of(more));
    RowSet both = Of(positions);
    both.KeepOnly(Of(more));
    for (int64_t position : both.Positions()) {
      REQUIRE((positions.contains(position) && more.contains(position)));
    }
    RowSet others = vector.Complement(400'000);
    REQUIRE(others.Size() == 400'000 - vector.Size());
    others.KeepOnly(vector);
    REQUIRE(others.Empty());
    positions.merge(more);
    REQUIRE(vector.Positions() == std::vector<int64_t>(positions.begin(), positions.end()));
    REQUIRE(vector.Size() == static_cast<int64_t>(positions.size()));
    bool bitmap64 = random() % 2;
    std::string blob = EncodeDeletionVector(vector, bitmap64);
    int64_t length = static_cast<int64_t>(blob.size()) - (bitmap64 ? 0 : 8);
    REQUIRE(DecodeDeletionVector(blob + "more", length, "f") == vector);
    for (int window = 0; window < 30; window++) {
      int64_t first = static_cast<int64_t>(random() % 300'000);
      idx_t count = 1 + random() % kChunkRows;
      std::vector<idx_t> expected;
      for (idx_t i = 0; i < count; i++) {
        bool deleted = positions.contains(first + static_cast<int64_t>(i));
        REQUIRE(vector.Contains(first + static_cast<int64_t>(i)) == deleted);
        if (!deleted) expected.push_back(i);
      }
      SelectionVector live(kChunkRows);
      idx_t left = vector.SelectOthers(first, count, live);
      std::vector<idx_t> found;
      for (idx_t i = 0; i < left; i++) found.push_back(live.get_index(i));
      REQUIRE(found == expected);
      REQUIRE(vector.CountIn(first, static_cast<int64_t>(count)) ==
              static_cast<int64_t>(count - expected.size()));
    }
  }
  CHECK_THROWS_AS(RowSet().Add(int64_t{1} << 31), Error);
  CHECK_THROWS_AS(RowSet().Add(-1), Error);
}

TEST_CASE("damaged vectors are told by name, or read right") {
  uint64_t seed = std::random_device{}();
  CAPTURE(seed);
  std::mt19937_64 random(seed);
  for (bool bitmap64 : {false, true}) {
    DeletionVectors vectors;
    vectors["a"] = Of({1, 2, 3, 70'000, 200'000});
    vectors["b"] = Of(RandomPositions(random));
    std::vector<DeletionVectorRange> ranges;
    std::string bytes = EncodeDeletionVectors(vectors, bitmap64, ranges);
    auto check = [&](const std::string& damaged) {
      DeletionVectors read;
      try {
        read = DecodeDeletionVectors(damaged, ranges, "the-file");
      } catch (const Error& error) {
        REQUIRE(error.code() == ErrorCode::kCorrupt);
        REQUIRE(error.text().find("the-file") != std::string::npos);
        return;
      }
      REQUIRE(read == vectors);
    };
    for (size_t length = 0; length < bytes.size(); length += 1 + length / 200) {
      check(bytes.substr(0, length));
    }
    for (int flip = 0; flip < 500; flip++) {
      std::string damaged = bytes;
      damaged[random() % damaged.size()] ^= static_cast<char>(1 << random() % 8);
      check(damaged);
    }
    auto wrong = ranges;
    wrong[0].length += 8;  // As if it were of the other version.
    CHECK_THROWS_AS(DecodeDeletionVectors(bytes, wrong, "f"), Error);
    wrong[0].offset = 1'000'000'000;
    CHECK_THROWS_AS(DecodeDeletionVectors(bytes, wrong, "f"), Error);
  }
}

TEST_CASE("bitmaps that are not well-formed are found out without a checksum") {
  uint64_t seed = std::random_device{}();
  CAPTURE(seed);
  std::mt19937_64 random(seed);
  for (int run = 0; run < 20; run++) {
    RowSet vector = Of(RandomPositions(random));
    if (vector.Size() == 0) continue;
    std::string roaring = vector.Encode();
    REQUIRE(CheckRoaring(roaring) == roaring.size());
    REQUIRE(CheckRoaring(roaring + "x") == roaring.size());
    for (size_t length = 0; length < roaring.size(); length += 1 + length / 50) {
      REQUIRE(!CheckRoaring(roaring.substr(0, length)));
    }
    for (int flip = 0; flip < 200; flip++) {  // Whatever passes can be read.
      std::string damaged = roaring;
      damaged[random() % damaged.size()] ^= static_cast<char>(1 << random() % 8);
      auto length = CheckRoaring(damaged);
      if (!length) continue;
      REQUIRE(*length <= damaged.size());
      size_t used = 0;
      std::optional<RowSet> read = RowSet::Decode(damaged, used);
      REQUIRE(read);
      std::vector<int64_t> positions = read->Positions();
      REQUIRE(std::is_sorted(positions.begin(), positions.end()));
      REQUIRE(static_cast<int64_t>(positions.size()) == read->Size());
    }
  }
}

TEST_CASE("one vector is read from its place in a file") {
  MemoryFileSystem disk;
  std::string bytes = FromHex(kPaimonFile32);
  auto file = disk.OpenForWrite("t/index/index-1");
  file->Append(bytes);
  file->Close();
  DeletionFile place{"t/index/index-1", 1, 24, 2};
  CHECK(ReadDeletionVector(disk, place)->Positions() == std::vector<int64_t>{3, 5});
  place.offset = 2;
  CHECK_THROWS_WITH_AS(ReadDeletionVector(disk, place), doctest::Contains("t/index/index-1"),
                       Error);
  place.path = "t/index/index-2";
  try {
    ReadDeletionVector(disk, place);
    FAIL("read a file that is not there");
  } catch (const Error& error) {
    CHECK(error.code() == ErrorCode::kCorrupt);
  }
}

}  // namespace millrace
