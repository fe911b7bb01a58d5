"""The words that name a split, in several languages."""

from __future__ import annotations

import unicodedata
from collections.abc import Collection, Mapping

from graft.components.ingestion.sources.splitting import (
    ROLE_OF_NAME,
    TEST_ROLE,
    TRAIN_ROLE,
    VALIDATION_ROLE,
)


def without_accents(text: str) -> str:
    """Return a text with its letters in parts, and without accents."""
    letters = unicodedata.normalize("NFKD", text)
    return "".join(letter for letter in letters if not unicodedata.combining(letter))


_WORDS = {
    TRAIN_ROLE: (
        "trn trains trainval trainset learn "
        # French, Spanish, Portuguese, Italian, Dutch, Swedish, Polish, Turkish, Russian
        "entrainement apprentissage entrenamiento treino treinamento addestramento "
        "traningsdata traning træning treningssett trening treningowy treningowe "
        "uczenie egitim "
        "trenink latih pelatihan навчання תרגול אימון تدريب آموزش "
        "обучение обучающая обучающий тренировка тренировочная "
        "训练 训练集 訓練 訓練集 学習 学習用 훈련 학습 훈련용 학습용"
    ),
    VALIDATION_ROLE: (
        "vali vld valset validate evaluation devset "
        "validacion validacao validazione validierung validatie validering walidacja "
        "walidacyjny dogrulama validasi تحقق "
        " валидация валидационная проверка проверочная "
        "验证 验证集 驗證 驗證集 検証 検証用 검증 검증용"
    ),
    TEST_ROLE: (
        "tst tests testset holdout unseen blind collaudo prova "
        "prueba pruebas teste testes prufung pruefung testowy testowe тест тестовая "
        "тестовый тестирование uji pengujian בדיקה اختبار آزمون "
        "测试 测试集 測試 測試集 テスト テスト用 테스트 테스트용 시험"
    ),
}

_EVALUATION_WORDS = frozenset(
    without_accents(word).casefold()
    for word in (
        "eval evaluation evaluate evaluación avaliação valutazione auswertung "
        "evaluatie utvärdering evaluering ewaluacja ocena değerlendirme evaluasi "
        "оценка 评估 評估 評価 평가 평가용"
    ).split()
)

ROLE_OF_WORD = {
    **dict.fromkeys(_EVALUATION_WORDS, VALIDATION_ROLE),
    **ROLE_OF_NAME,
    **{
        without_accents(word).casefold(): role
        for role, words in _WORDS.items()
        for word in words.split()
    },
}
"""Words in small letters and without accents, and their roles."""

ROLE_OF_ABBREVIATION = {
    "tr": TRAIN_ROLE,
    "va": VALIDATION_ROLE,
    "vl": VALIDATION_ROLE,
    "te": TEST_ROLE,
    "ts": TEST_ROLE,
}
"""Abbreviations that say something else, too: `tr` and `te` are codes of languages."""


def with_evaluation_as_test(
    role_of_name: Mapping[str, str], words: Mapping[str, Collection[str]]
) -> dict[str, str]:
    """Return roles in which `evaluation` beside `validation` is the test set.

    Alone, `evaluation` is another word for `validation`.

    Args:
        role_of_name: Name to role.
        words: Name to its words, as `ROLE_OF_WORD` spells them.
    """
    validation = [n for n, role in role_of_name.items() if role == VALIDATION_ROLE]
    evaluation = [n for n in validation if not _EVALUATION_WORDS.isdisjoint(words[n])]
    has_test = TEST_ROLE in role_of_name.values()
    if has_test or not 0 < len(evaluation) < len(validation):
        return dict(role_of_name)
    return {**role_of_name, **dict.fromkeys(evaluation, TEST_ROLE)}


def guessed_role_of(word: str) -> str | None:
    """Return the role of a word that begins as that of a split, or differs by a letter.

    Two letters in the other order count as one difference. It is a guess: `text` and
    `testament` are `test` then.
    """
    plain = without_accents(word).casefold()
    roles = {
        role
        for known, role in ROLE_OF_WORD.items()
        if len(known) >= _SHORTEST_MISSPELT and _differ_by_one(plain, known)
    } or {
        role
        for known, role in ROLE_OF_WORD.items()
        if (len(known) >= _SHORTEST_MISSPELT or not known.isascii())
        and plain.startswith(known)
    }
    return roles.pop() if len(roles) == 1 else None


_SHORTEST_MISSPELT = 4


def _differ_by_one(first: str, second: str) -> bool:
    if len(first) > len(second):
        first, second = second, first
    start = 0
    while start < len(first) and first[start] == second[start]:
        start += 1
    if len(first) < len(second):
        return first[start:] == second[start + 1 :] and len(second) - len(first) == 1
    rest, other = first[start:], second[start:]
    swapped = rest[1:2] + rest[:1] + rest[2:]
    return bool(rest) and (rest[1:] == other[1:] or swapped == other)
