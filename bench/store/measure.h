// measure.h - runs of a workload, and the line of JSON that reports them.
#pragma once

#include <map>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

namespace millrace {

/// Arguments of the form name=value.
class Arguments {
 public:
  Arguments(int argc, char** argv);
  std::string Text(const std::string& name, const std::string& fallback) const;
  int64_t Number(const std::string& name, int64_t fallback) const;

 private:
  std::map<std::string, std::string> values_;
};

double WallSeconds();
/// User and system time of this process, all threads.
double CpuSeconds();

/// Collects the runs of one workload.
/// Threads: one at a time.
class Report {
 public:
  explicit Report(std::string workload);
  void Start();
  void Stop();
  nlohmann::ordered_json& fields() { return fields_; }
  /// One line: medians, peak resident memory of the process, and `fields`.
  void Print(int64_t rows);

 private:
  std::string workload_;
  nlohmann::ordered_json fields_ = nlohmann::ordered_json::object();
  std::vector<double> seconds_;
  std::vector<double> cpu_;
  double started_ = 0;
  double cpu_started_ = 0;
};

/// The value at share `p` of sorted `values`.
double Percentile(std::vector<double> values, double p);

/// A line that says why a workload cannot be run.
void PrintNotAvailable(const std::string& workload, const std::string& why);

}  // namespace millrace
