"""Rows of scored images, as results give them."""


def rows(scores, label="real", **known):
    """As `Row.to_dict` gives them; a score of a list is one per model."""
    found = []
    for number, score in enumerate(scores):
        several = score if isinstance(score, list | tuple) else [score]
        found.append(
            {
                "path": f"{label}{number}",
                "sha256": None,
                "scores": {"aeroblade": several[0] if None in several else max(several)},
                "per_model": {"aeroblade": {f"m{k}": value for k, value in enumerate(several)}},
                "details": {},
                "label": label,
                "format": "PNG",
                "jpeg_quality": None,
                "width": 512,
                "height": 512,
                "texture": 0.9,
            }
            | known
        )
    return found
