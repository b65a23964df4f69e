#include "calibrate/gpu/nvml.hpp"

#include <dlfcn.h>

namespace orrery::calibrate {
namespace {

// The few entry points of libnvidia-ml used here; every one returns 0 on success.
constexpr int kSmClock = 1;

template <class F>
F find(void* library, const char* name) {
    return library ? reinterpret_cast<F>(dlsym(library, name)) : nullptr;
}

}  // namespace

Nvml::Nvml(const std::string& pci_bus_id) : library_(dlopen("libnvidia-ml.so.1", RTLD_NOW)) {
    const auto init = find<int (*)()>(library_, "nvmlInit_v2");
    const auto by_bus =
        find<int (*)(const char*, void**)>(library_, "nvmlDeviceGetHandleByPciBusId_v2");
    if (!init || !by_bus || init() != 0) return;
    void* device = nullptr;
    if (by_bus(pci_bus_id.c_str(), &device) == 0) device_ = device;
}

Nvml::~Nvml() {
    if (const auto shutdown = find<int (*)()>(library_, "nvmlShutdown")) shutdown();
    if (library_) dlclose(library_);
}

unsigned Nvml::ask(const char* function) const {
    const auto f = find<int (*)(void*, unsigned*)>(library_, function);
    unsigned value = 0;
    return device_ && f && f(device_, &value) == 0 ? value : 0;
}
unsigned Nvml::ask(const char* function, int selector) const {
    const auto f = find<int (*)(void*, int, unsigned*)>(library_, function);
    unsigned value = 0;
    return device_ && f && f(device_, selector, &value) == 0 ? value : 0;
}

std::string Nvml::driver_version() const {
    const auto f = find<int (*)(char*, unsigned)>(library_, "nvmlSystemGetDriverVersion");
    char text[96] = {};
    return device_ && f && f(text, sizeof text) == 0 ? text : "";
}
double Nvml::clock_mhz() const { return ask("nvmlDeviceGetClockInfo", kSmClock); }
double Nvml::highest_clock_mhz() const { return ask("nvmlDeviceGetMaxClockInfo", kSmClock); }
double Nvml::power_w() const { return ask("nvmlDeviceGetPowerUsage") / 1000.0; }
double Nvml::power_limit_w() const { return ask("nvmlDeviceGetEnforcedPowerLimit") / 1000.0; }
double Nvml::default_power_limit_w() const {
    return ask("nvmlDeviceGetPowerManagementDefaultLimit") / 1000.0;
}
std::uint64_t Nvml::clock_reasons() const {
    for (const char* name :
         {"nvmlDeviceGetCurrentClocksEventReasons", "nvmlDeviceGetCurrentClocksThrottleReasons"}) {
        const auto f = find<int (*)(void*, unsigned long long*)>(library_, name);
        unsigned long long reasons = 0;
        if (device_ && f && f(device_, &reasons) == 0) return reasons;
    }
    return 0;
}
std::vector<unsigned> Nvml::compute_processes() const {
    struct Process {
        unsigned pid;
        unsigned long long used_bytes;
        unsigned gpu_instance, compute_instance;
    };
    const auto f = find<int (*)(void*, unsigned*, Process*)>(
        library_, "nvmlDeviceGetComputeRunningProcesses_v3");
    std::vector<Process> list(64);
    auto count = unsigned(list.size());
    if (!device_ || !f || f(device_, &count, list.data()) != 0) return {};
    std::vector<unsigned> pids;
    for (unsigned i = 0; i < count; ++i) pids.push_back(list[i].pid);
    return pids;
}
double Nvml::temperature_c() const { return ask("nvmlDeviceGetTemperature", 0); }
unsigned Nvml::utilization_percent() const {
    struct {
        unsigned gpu = 0, memory = 0;
    } share;
    const auto f = find<int (*)(void*, void*)>(library_, "nvmlDeviceGetUtilizationRates");
    return device_ && f && f(device_, &share) == 0 ? share.gpu : 0;
}

PowerLog::PowerLog(const Nvml& nvml) : nvml_(nvml), begin_(std::chrono::steady_clock::now()) {
    thread_ = std::thread([this] {
        while (!stop_) {
            const PowerSample s{seconds(), nvml_.clock_mhz(), nvml_.power_w(),
                                nvml_.temperature_c()};
            {
                const std::lock_guard lock(mutex_);
                samples_.push_back(s);
            }
            std::this_thread::sleep_for(std::chrono::milliseconds(20));
        }
    });
}
PowerLog::~PowerLog() {
    stop_ = true;
    thread_.join();
}
double PowerLog::seconds() const {
    return std::chrono::duration<double>(std::chrono::steady_clock::now() - begin_).count();
}
PowerSample PowerLog::mean(double from, double to) const {
    const std::lock_guard lock(mutex_);
    PowerSample sum;
    double n = 0;
    for (const PowerSample& s : samples_) {
        if (s.seconds < from || s.seconds >= to) continue;
        sum.clock_mhz += s.clock_mhz;
        sum.power_w += s.power_w;
        sum.temperature_c += s.temperature_c;
        ++n;
    }
    if (n == 0) return sum;
    return {from, sum.clock_mhz / n, sum.power_w / n, sum.temperature_c / n};
}
std::vector<PowerSample> PowerLog::samples() const {
    const std::lock_guard lock(mutex_);
    return samples_;
}

}  // namespace orrery::calibrate
