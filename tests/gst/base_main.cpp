// Lists the elements that are left when all tests have run.
#define GST_USE_UNSTABLE_API  // tracers
#include <gst/gst.h>
#include <gst/gsttracer.h>
#include <gtest/gtest.h>

#include <map>
#include <mutex>
#include <string>

namespace {

std::mutex mutex;
std::map<GstObject*, std::string> alive;  // elements, with their types

std::string elements_alive() {
  const std::lock_guard lock(mutex);
  std::string list;
  for (const auto& [object, type] : alive) list += type + " ";
  return list;
}

struct Counter {
  GstTracer parent;
};
struct CounterClass {
  GstTracerClass parent;
};
G_DEFINE_TYPE(Counter, counter, GST_TYPE_TRACER)

void counter_class_init(CounterClass*) {}

void counter_init(Counter* self) {
  using Hook = void (*)(Counter*, GstClockTime, GstObject*);
  const Hook created = [](Counter*, GstClockTime, GstObject* object) {
    const std::lock_guard lock(mutex);
    if (GST_IS_ELEMENT(object)) alive[object] = G_OBJECT_TYPE_NAME(object);
  };
  const Hook destroyed = [](Counter*, GstClockTime, GstObject* object) {
    const std::lock_guard lock(mutex);
    alive.erase(object);
  };
  gst_tracing_register_hook(GST_TRACER(self), "object-created", G_CALLBACK(created));
  gst_tracing_register_hook(GST_TRACER(self), "object-destroyed", G_CALLBACK(destroyed));
}

class Leaks : public testing::Environment {
  // Pipelines that were stopped are taken down in other threads.
  void TearDown() override {
    for (int i = 0; i < 600 && !elements_alive().empty(); ++i) g_usleep(100000);
    EXPECT_EQ(elements_alive(), "");
  }
};

}  // namespace

int main(int argc, char** argv) {
  gst_init(&argc, &argv);
  g_log_set_always_fatal(GLogLevelFlags(G_LOG_FATAL_MASK | G_LOG_LEVEL_CRITICAL));
  GObject* counter = G_OBJECT(g_object_new(counter_get_type(), nullptr));
  testing::InitGoogleTest(&argc, argv);
  testing::AddGlobalTestEnvironment(new Leaks);
  const int result = RUN_ALL_TESTS();
  gst_deinit();
  g_object_unref(counter);
  return result;
}
