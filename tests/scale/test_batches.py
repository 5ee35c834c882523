import io

import pyarrow.parquet as pq
from PIL import Image

from recon_detect.output.writers import columns_of
from recon_detect.scale.batches import BatchScorer


def test_a_batch_of_encoded_images_becomes_a_typed_table(method_file, picture, tmp_path):
    buffer = io.BytesIO()
    Image.fromarray(picture()).save(buffer, "png")
    scorer = BatchScorer(image="image", method=f"{method_file}:METHOD", device="cpu")
    data = [buffer.getvalue(), {"bytes": buffer.getvalue(), "path": None}, b"broken", None]
    table = scorer({"image": data, "path": ["a", "b", "c", "d"], "caption": ["x"] * 4})
    rows = table.to_pylist()
    assert [row["path"] for row in rows] == ["a", "b", "c", "d"]
    assert rows[0]["score"] == rows[1]["score"] > 0 and rows[0]["error"] is None
    assert all("UnreadableImage" in row["error"] for row in rows[2:])
    failed = scorer({"image": [b"broken"], "path": ["c"]})
    assert failed.schema == table.schema and table.schema.names == list(columns_of(scorer._detector.run_info))
    pq.write_table(table, tmp_path / "a.parquet")
