// Hybrid mode: BASE units to the pictures from which the library predicts the other views.
#include <algorithm>

#include "base_coder.h"
#include "gstmvinrdecgop.h"

#define GST_CAT_DEFAULT mvinrdec_debug

using mvinr::Component;
using mvinr::Error;
using mvinr::ErrorCode;
using mvinr::gst::BaseJob;
using mvinr::gst::BaseSource;

// What the pads need and nobody has asked for yet: a base view's pad its own unit, any other pad
// all units. Damaged pads need nothing.
static std::vector<BaseSource> missing_bases(GstMvinrDecGop& gop,
                                             std::span<GstMvinrDecPad* const> pads) {
  const auto needs = [&](const BaseSource& source) {
    return std::any_of(pads.begin(), pads.end(), [&](const GstMvinrDecPad* pad) {
      if (gop.is_damaged(pad)) return false;
      return !gop.view_of(pad).base || (gst_mvinr_dec_pad_view(pad) == source.view &&
                                        gst_mvinr_dec_pad_component(pad) == source.component);
    });
  };
  auto sources = mvinr::gst::base_sources(gop.info.sequence, gop.info.base_views);
  if (!sources) return {};  // a valid header has them
  std::erase_if(*sources, [&](const BaseSource& source) {
    return gop.views[size_t(source.view)].base_asked_for[size_t(source.component)] ||
           !needs(source);
  });
  return std::move(*sources);
}

// Without one picture of a base view, no other view can be predicted.
static GstFlowReturn lose_base(GstMvinrDec* self, GstMvinrDecGop& gop, int frame,
                               const BaseSource& source, const Error& error) {
  const GstFlowReturn flow = gst_mvinr_dec_report_part(self, gop, error);
  if (flow != GST_FLOW_OK) return flow;
  gst_mvinr_dec_lose(self, gop, frame, source.view, source.component);
  for (int view = 0; view < int(gop.views.size()); ++view)
    if (!gop.views[size_t(view)].base)
      for (const Component component : {Component::texture, Component::depth})
        gst_mvinr_dec_lose(self, gop, frame, view, component);
  return GST_FLOW_OK;
}

static GstFlowReturn take_pictures(GstMvinrDec* self, const BaseSource& source,
                                   std::vector<mvinr::gst::OwnedPicture> pictures) {
  for (size_t f = 0; f < pictures.size(); ++f) {
    const auto set = self->priv->state->decoder->set_base({int(f), source.view, source.component},
                                                          pictures[f].picture);
    if (!set) return gst_mvinr_dec_fail(self, set.error());
    pictures[f] = {};  // the library has its copy
  }
  gst_mvinr_dec_count(self, &GstMvinrDecStats::base_units);
  return GST_FLOW_OK;
}

GstFlowReturn gst_mvinr_dec_prepare_bases(GstMvinrDec* self, GstMvinrDecGop& gop, int frame,
                                          std::span<GstMvinrDecPad* const> pads) {
  if (gop.info.base_views.empty()) return GST_FLOW_OK;
  std::vector<BaseSource> sources = missing_bases(gop, pads);
  if (sources.empty()) return GST_FLOW_OK;
  const GstMvinrDecStopwatch stopwatch(self);
  const auto units = self->priv->state->decoder->base_units();
  const auto unit_of = [&](const BaseSource& source) {
    return std::find_if(units.begin(), units.end(), [&](const mvinr::BaseUnit& unit) {
      return unit.view == source.view && unit.component == source.component;
    });
  };
  const auto ask_for = [&gop](const BaseSource& source) {
    gop.views[size_t(source.view)].base_asked_for[size_t(source.component)] = true;
  };
  for (const BaseSource& source : sources) {
    if (unit_of(source) != units.end()) continue;
    ask_for(source);
    const GstFlowReturn flow =
        lose_base(self, gop, frame, source,
                  {ErrorCode::corrupt,
                   mvinr::gst::source_name(source) + ": its BASE unit is damaged or missing"});
    if (flow != GST_FLOW_OK) return flow;
  }

  sources = missing_bases(gop, pads);  // fewer, if views were lost
  std::vector<BaseJob> jobs;
  for (const BaseSource& source : sources) {
    ask_for(source);
    jobs.push_back({source, unit_of(source)->payload});
  }
  auto decoded = mvinr::gst::decode_bases(jobs, gop.info.frames, gop.stop);
  for (size_t i = 0; i < jobs.size(); ++i) {
    GstFlowReturn flow = GST_FLOW_OK;
    if (decoded[i]) {
      flow = take_pictures(self, jobs[i].source, std::move(*decoded[i]));
    } else if (decoded[i].error().code == ErrorCode::corrupt) {
      flow = lose_base(self, gop, frame, jobs[i].source, decoded[i].error());
    } else if (decoded[i].error().code == ErrorCode::unsupported) {
      GST_ELEMENT_ERROR(self, CORE, MISSING_PLUGIN, ("%s", decoded[i].error().message.c_str()),
                        (NULL));
      flow = GST_FLOW_ERROR;
    } else {
      flow = gst_mvinr_dec_fail(self, decoded[i].error());
    }
    if (flow != GST_FLOW_OK) return flow;
  }
  return GST_FLOW_OK;
}
