"""Labels as annotation tools export them, in pixels of an image: COCO, LabelMe and YOLO."""
