"""Pages of reports over made mirrors."""

from __future__ import annotations

from render_samples import Sample

from inspector.inspection.story import MirrorStory
from inspector.render.report.compared import Brief
from inspector.render.report.gather import gather
from inspector.render.report.page import Material, document


def page_of(sample: Sample, briefs: dict[int, Brief] | None = None) -> str:
    g = gather(sample)
    by_id = {m.id: MirrorStory(m, len(sample.mirror_list)) for m in sample.mirror_list}
    return "".join(document(g, Material([by_id[n] for n in g.chosen()], [by_id[n] for n in g.told()], briefs or {})))
