// Goal: a seed replays randomness, uuids have their form, and the manual clock moves only when
// told. Method: compare two engines of one seed; check the fixed characters of a uuid.
#include <doctest/doctest.h>

#include "io/manual_clock.h"
#include "io/random.h"

namespace millrace {

TEST_CASE("A seed replays, and uuids are version 4") {
  Random one(7), two(7), other(8);
  CHECK(one.Next() == two.Next());
  std::string uuid = one.Uuid();
  CHECK(uuid == two.Uuid());
  CHECK(uuid != other.Uuid());
  CHECK(uuid.size() == 36);
  CHECK(uuid[14] == '4');
  CHECK(std::string("89ab").find(uuid[19]) != std::string::npos);
  CHECK(uuid.find_first_not_of("0123456789abcdef-") == std::string::npos);
  CHECK(Random().Next() != Random().Next());
}

TEST_CASE("The manual clock moves only when told, the system clock by itself") {
  ManualClock clock(1000);
  CHECK(clock.NowMs() == 1000);
  clock.SleepMs(5);
  CHECK(clock.NowMs() == 1005);
  CHECK(clock.MonotonicUs() == 1005000);
  auto system = MakeSystemClock();
  int64_t before = system->MonotonicUs();
  system->SleepMs(2);
  CHECK(system->MonotonicUs() - before >= 2000);
  CHECK(system->NowMs() > 1'600'000'000'000);
}

}  // namespace millrace
