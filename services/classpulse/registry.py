"""Where releases lie: a folder each, named by the digest of its net, on any storage that fsspec knows. Never half there.

The card is written last, whole or not at all, and a folder without a card is no release. Who reads one checks the net
against its digest, so a store that lies is found out.
"""

from classpulse.errors import BadInput
from classpulse.records import ExamFigures, ModelRelease
from classpulse.stores import answering, make_folder, store_of, write_whole
from gesturedet.card import CARD_FILE, MODEL_FILE, ModelCard, Release, digest_of, read_card, write_card


def put(release: Release, registry: str) -> ModelRelease:
    """Copy a release into the registry; one that is there already stays as it is. Raises BadInput, Recoverable."""
    store, root = store_of(registry, key="registry")
    digest = release.card.digest
    folder = f"{root}/{digest}"
    with answering(f"registry = {registry!r}", "a store that can be written"):
        if not store.exists(f"{folder}/{CARD_FILE}"):
            make_folder(store, folder)
            store.pipe_file(f"{folder}/{MODEL_FILE}", release.onnx_bytes)
            write_whole(store, f"{folder}/{CARD_FILE}", write_card(release.card))
    return described(release.card, store.unstrip_protocol(folder))


def fetch(wanted: ModelRelease) -> Release:
    """A registered release, checked. Raises Recoverable where the store does not answer, BadInput for other bytes."""
    store, folder = store_of(wanted.artefact, key="registry")
    with answering(f"release {wanted.digest[:12]}: {wanted.artefact}", "a store that answers"):
        onnx_bytes: bytes = store.cat_file(f"{folder}/{MODEL_FILE}")
        text: bytes = store.cat_file(f"{folder}/{CARD_FILE}")
    try:
        card = read_card(text, origin=f"{wanted.artefact}/{CARD_FILE}")
    except ValueError as error:
        raise BadInput([f"release {wanted.digest[:12]}: {error}"]) from error
    found = digest_of(onnx_bytes)
    if found != wanted.digest or card.digest != wanted.digest:
        where = f"{wanted.artefact}/{MODEL_FILE if found != wanted.digest else CARD_FILE}"
        raise BadInput(
            [
                f"release {wanted.digest[:12]}: {where} is of {found if found != wanted.digest else card.digest}; expected its own"
            ]
        )
    return Release(card, onnx_bytes)


def described(card: ModelCard, artefact: str) -> ModelRelease:
    """A release as the bus tells of it: what people compare, and where the rest lies."""
    figures = tuple(
        ExamFigures(
            exam=exam.pictures_from,
            behaviour=one.behaviour,
            truths=one.truths,
            ap50=one.ap50,
            precision=one.precision,
            recall=one.recall,
        )
        for exam in card.exams
        for one in exam.behaviours
    )
    return ModelRelease(
        digest=card.digest,
        name=card.name,
        labels=card.published,
        input_hw=card.input_hw,
        figures=figures,
        lineage=card.lineage,
        artefact=artefact,
    )
