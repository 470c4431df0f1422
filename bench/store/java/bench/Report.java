// Report.java - runs of a workload, and the line of JSON that reports them (as bench/store/measure.h).
package bench;

import java.io.IOException;
import java.lang.management.ManagementFactory;
import java.nio.file.Files;
import java.nio.file.Paths;
import java.util.ArrayList;
import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.apache.paimon.shade.jackson2.com.fasterxml.jackson.databind.ObjectMapper;

final class Report {
  final Map<String, Object> fields = new LinkedHashMap<>();
  private final String workload;
  private final List<Double> seconds = new ArrayList<>();
  private final List<Double> cpu = new ArrayList<>();
  private double started;
  private double cpuStarted;

  Report(String workload) {
    this.workload = workload;
  }

  static double now() {
    return System.nanoTime() / 1e9;
  }

  private static double cpuSeconds() {
    return ((com.sun.management.OperatingSystemMXBean)
                ManagementFactory.getOperatingSystemMXBean())
            .getProcessCpuTime()
        / 1e9;
  }

  void start() {
    cpuStarted = cpuSeconds();
    started = now();
  }

  void stop() {
    seconds.add(rounded(now() - started));
    cpu.add(rounded(cpuSeconds() - cpuStarted));
  }

  static double rounded(double value) {
    return Math.round(value * 1000) / 1000.0;
  }

  static double percentile(List<Double> values, double p) {
    List<Double> sorted = new ArrayList<>(values);
    Collections.sort(sorted);
    return sorted.get(Math.min(sorted.size() - 1, (int) (p * sorted.size())));
  }

  private static long peakMegabytes() throws IOException {
    for (String line : Files.readAllLines(Paths.get("/proc/self/status"))) {
      if (line.startsWith("VmHWM:")) return Long.parseLong(line.replaceAll("[^0-9]", "")) / 1024;
    }
    return -1;
  }

  void print(long rows) throws IOException {
    Map<String, Object> line = new LinkedHashMap<>();
    double median = percentile(seconds, 0.5);
    double medianCpu = percentile(cpu, 0.5);
    line.put("workload", workload);
    line.put("rows", rows);
    line.put("seconds", median);
    line.put("cpu_s", medianCpu);
    line.put("rows_per_s", Math.round(rows / Math.max(median, 1e-9)));
    line.put("rows_per_cpu_s", Math.round(rows / Math.max(medianCpu, 1e-9)));
    line.put("max_rss_mb", peakMegabytes());
    line.put("runs_s", seconds);
    line.put("runs_cpu_s", cpu);
    line.putAll(fields);
    System.out.println(new ObjectMapper().writeValueAsString(line));
  }
}
