"""ImageExampleGen: labelled images of many shapes become checked, split tf.Examples."""
