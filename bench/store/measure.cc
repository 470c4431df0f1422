#include "measure.h"

#include <sys/resource.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdio>

namespace millrace {

namespace {

double Rounded(double value) {
  return std::round(value * 1000) / 1000;
}

double Seconds(const timeval& time) {
  return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_usec) * 1e-6;
}

}  // namespace

Arguments::Arguments(int argc, char** argv) {
  for (int i = 2; i < argc; i++) {
    std::string text = argv[i];
    size_t equals = text.find('=');
    if (equals != std::string::npos) values_[text.substr(0, equals)] = text.substr(equals + 1);
  }
}

std::string Arguments::Text(const std::string& name, const std::string& fallback) const {
  auto found = values_.find(name);
  return found == values_.end() ? fallback : found->second;
}

int64_t Arguments::Number(const std::string& name, int64_t fallback) const {
  auto found = values_.find(name);
  return found == values_.end() ? fallback : std::stoll(found->second);
}

double WallSeconds() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

double CpuSeconds() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  return Seconds(usage.ru_utime) + Seconds(usage.ru_stime);
}

Report::Report(std::string workload) : workload_(std::move(workload)) {}

void Report::Start() {
  cpu_started_ = CpuSeconds();
  started_ = WallSeconds();
}

void Report::Stop() {
  seconds_.push_back(WallSeconds() - started_);
  cpu_.push_back(CpuSeconds() - cpu_started_);
}

double Percentile(std::vector<double> values, double p) {
  if (values.empty()) return 0;
  std::sort(values.begin(), values.end());
  auto at = static_cast<size_t>(p * static_cast<double>(values.size()));
  return values[std::min(values.size() - 1, at)];
}

void Report::Print(int64_t rows) {
  double seconds = Percentile(seconds_, 0.5), cpu = Percentile(cpu_, 0.5);
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  nlohmann::ordered_json line;
  line["workload"] = workload_;
  line["rows"] = rows;
  line["seconds"] = Rounded(seconds);
  line["cpu_s"] = Rounded(cpu);
  line["rows_per_s"] = std::llround(static_cast<double>(rows) / std::max(seconds, 1e-9));
  line["rows_per_cpu_s"] = std::llround(static_cast<double>(rows) / std::max(cpu, 1e-9));
  line["max_rss_mb"] = usage.ru_maxrss / 1024;
  for (double run : seconds_) line["runs_s"].push_back(Rounded(run));
  for (double run : cpu_) line["runs_cpu_s"].push_back(Rounded(run));
  line.update(fields_);
  std::puts(line.dump().c_str());
  std::fflush(stdout);
}

void PrintNotAvailable(const std::string& workload, const std::string& why) {
  nlohmann::ordered_json line = {{"workload", workload}, {"not_available", why}};
  std::puts(line.dump().c_str());
}

}  // namespace millrace
