from pipeline.models.one_line import first_line


def test_of_many_lines_the_first_is_told_and_of_none_the_type():
    assert first_line(ValueError("\n  what failed\nand why, over\nmany lines\n")) == "what failed"
    assert first_line(KeyError()) == "KeyError"
