from pipeline.plumbing.compose import compose
from pipeline.settings.ask import AskSettings


def test_conf_says_on_how_much_a_question_is_answered():
    settings = AskSettings.parse(compose((), (), "base", 0)["ask"])
    assert min(settings.model_dump().values()) >= 1
